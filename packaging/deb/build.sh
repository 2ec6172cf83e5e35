#!/bin/sh
# Builds dist/peerbee_VERSION_ARCH.deb for each named architecture: packaging/deb/build.sh amd64 arm64
# The same commit gives the same bytes: times come from SOURCE_DATE_EPOCH or the commit.
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^var Version = "\(.*\)"/\1/p' gateway/doc.go)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
mkdir -p dist
CHANGELOG=dist/changelog.gz
gzip -9nc CHANGELOG.md >"$CHANGELOG"
MTIME=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
export CHANGELOG MTIME SOURCE_DATE_EPOCH="$epoch"
for arch in "$@"; do
	BIN=dist/peerbee-$arch
	GOOS=linux GOARCH=$arch CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$BIN" ./cmd/peerbee
	export BIN DEB_ARCH="$arch" VERSION="$version"
	go tool -modfile=.ci/package.mod nfpm package --config packaging/deb/nfpm.yaml --packager deb --target "dist/peerbee_${version}_${arch}.deb" >/dev/null
	ls -l "dist/peerbee_${version}_${arch}.deb" "$BIN" | awk '{ printf "%s  %.1f MB\n", $NF, $5 / 1e6 }'
done
