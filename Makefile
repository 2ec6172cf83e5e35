# peerbee: every target says what it needs. Go 1.26, git and make are enough for build, demo and test.
GO ?= go
BIN ?= bin/peerbee
export CGO_ENABLED ?= 0
# Two things no line of ours calls, 0.8 MB together: HTTP/2 (the local socket and metrics speak 1.1) and a YAML
# reader (behind a mock in a library's ordinary files). Tests run with the same tags.
export GOFLAGS += -tags=nethttpomithttp2,testify_yaml_fail

.PHONY: help build demo test check lint race fuzz interop bench soak deb clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/peerbee, or BIN for GOARCH
	$(GO) build -trimpath -buildvcs=false -ldflags "-s -w" -o $(BIN) ./cmd/peerbee

demo: build ## the whole thing on this machine, no hardware; DEMO_FOR=30s ends by itself
	bin/peerbee demo $(if $(DEMO_FOR),--for $(DEMO_FOR))

test: ## unit and end-to-end tests: no root, no Node, nothing to install
	$(GO) test ./...

check: lint race fuzz interop deb ## what CI runs after the tests: lint, race, fuzz, programs not ours, packages

lint: ## gofumpt, vet, staticcheck and the rest of .golangci.yml
	$(GO) tool -modfile=.ci/lint.mod golangci-lint run
	$(GO) tool -modfile=.ci/lint.mod golangci-lint fmt --diff

race: ## the tests under the race detector
	CGO_ENABLED=1 $(GO) test -race ./...

fuzz: ## every fuzz target for FUZZTIME (30s in CI, longer by hand)
	.ci/fuzz $(or $(FUZZTIME),30s)

interop: build ## zigbee-herdsman and js-libp2p against us (npm; skipped with a message without it)
	interop/run

bench: build ## figures beside zigbee2mqtt + mosquitto in the same run, where those can be installed
	interop/bench/run

soak: build ## the long versions: 50 kills, minutes of fuzzing, every fault
	PEERBEE_SOAK=1 $(GO) test -timeout 60m ./...
	.ci/fuzz 5m

deb: ## dist/peerbee_*.deb for amd64 and arm64, built twice and checked
	packaging/deb/build.sh amd64 arm64
	packaging/deb/check.sh

clean: ## remove bin, dist and caches
	rm -rf bin dist .cache
