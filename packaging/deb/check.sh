#!/bin/bash
# Checks dist/*.deb as a careful reviewer would: same bytes when built again, contents and modes, control fields,
# sizes, lintian, shellcheck, the units, the arm64 program under emulation, and the life of the package in a
# Debian of its own. What needs a tool that is missing is skipped and said so; in CI, as root, tools are installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

ok() { echo "ok       $*"; }
skip() { echo "skipped  $*"; }
bad() {
	echo "FAILED   $*"
	failed=1
}
have() { command -v "$1" >/dev/null; }

if [ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && have apt-get; then
	apt-get update -qq >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		lintian shellcheck qemu-user-static systemd mmdebstrap >/dev/null 2>&1 || skip "tools could not be installed: apt-get failed"
fi

reproducible() {
	OUT=$work packaging/deb/build.sh amd64 arm64 >/dev/null
	for deb in dist/*.deb; do
		if cmp -s "$deb" "$work/$(basename "$deb")"; then
			ok "built again, same bytes: $(sha256sum <"$deb" | cut -c1-16) $deb"
		else
			bad "built again, other bytes: $deb"
		fi
	done
}

# bytes NAME FILE MOST
bytes() {
	local n
	n=$(stat -c %s "$2")
	if [ "$n" -le "$3" ]; then ok "$1: $n bytes, at most $3"; else bad "$1: $n bytes, more than $3"; fi
}

contents() {
	for deb in dist/*.deb; do
		dpkg-deb -c "$deb" | awk '$1 !~ /^d/ { print $1, $2, $6 }' | sort -k3 >"$work/contents"
		if diff -u packaging/deb/contents.txt "$work/contents"; then ok "contents, owners and modes of $deb"; else bad "contents of $deb"; fi
		if [ "$(dpkg-deb -f "$deb" Package)" = peerbee ] && dpkg-deb -f "$deb" Depends | grep -q systemd &&
			[ "$(dpkg-deb -I "$deb" conffiles)" = /etc/peerbee/peerbee.toml ]; then
			ok "control fields of $deb: $(dpkg-deb -f "$deb" Version) $(dpkg-deb -f "$deb" Architecture)"
		else
			bad "control fields of $deb"
		fi
	done
}

scripts() {
	have shellcheck || { skip "shellcheck: not installed"; return; }
	if shellcheck packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm packaging/deb/*.sh .ci/run .ci/fuzz; then
		ok "shellcheck"
	else
		bad "shellcheck"
	fi
}

policy() {
	have lintian || { skip "lintian: not installed"; return; }
	for deb in dist/*.deb; do
		if lintian --pedantic --fail-on error,warning "$deb" 2>"$work/lintian"; then
			ok "lintian --pedantic $deb"
		else
			bad "lintian $deb"
			cat "$work/lintian"
		fi
	done
}

# The gateway reads the clock's state, which costs it 0.5 of exposure on systemd's scale: see the unit.
units() {
	have systemd-analyze || { skip "units: systemd-analyze is not installed"; return; }
	dpkg-deb -x dist/peerbee_*_amd64.deb "$work/root"
	for unit in peerbee:19 peerbee-hive:15; do
		local file=$work/${unit%:*}.service most=${unit#*:} result
		sed "s|/usr/bin/peerbee|$work/root/usr/bin/peerbee|" "$work/root/usr/lib/systemd/system/${unit%:*}.service" >"$file"
		if systemd-analyze verify --man=no --recursive-errors=no "$file"; then ok "systemd-analyze verify ${unit%:*}"; else bad "systemd-analyze verify ${unit%:*}"; fi
		if result=$(systemd-analyze security --offline=yes --no-pager --threshold="$most" "$file" | tail -1); then
			ok "${result#* }"
		else
			bad "${result#* }, at most ${most:0:1}.${most:1}"
		fi
	done
}

foreign() {
	if have qemu-aarch64-static; then
		if qemu-aarch64-static dist/peerbee-arm64 version | grep -q linux/arm64; then ok "arm64 program runs"; else bad "arm64 program"; fi
	else
		skip "arm64 program: qemu-aarch64-static is not installed"
	fi
}

# life installs, upgrades, removes and purges the package in a minimal Debian.
life() {
	if ! have mmdebstrap || [ "$(id -u)" != 0 ] || [ "$(dpkg --print-architecture)" != amd64 ]; then
		skip "life of the package: it takes root and mmdebstrap on amd64"
		return
	fi
	local deb
	deb=$(basename dist/peerbee_*_amd64.deb)
	if ! mmdebstrap --quiet --variant=minbase --include=systemd,init-system-helpers bookworm "$work/debian" 2>"$work/mmdebstrap"; then
		skip "life of the package: mmdebstrap failed: $(tail -1 "$work/mmdebstrap")"
		return
	fi
	cp "dist/$deb" "$work/debian/root/"
	if chroot "$work/debian" sh -eu -s "/root/$deb" <packaging/deb/life.sh >"$work/life" 2>&1; then
		ok "life of the package: install, reinstall over an edited file, remove, purge"
	else
		bad "life of the package"
		cat "$work/life"
	fi
}

scripts
reproducible
# The table of devices may have 2 MB of its own beside the 26 MB of everything else.
table=zigbee/device/profile/table.bin
bytes "device table" $table 2000000
bytes "arm64 program" dist/peerbee-arm64 $((26000000 + $(stat -c %s $table)))
for deb in dist/*.deb; do bytes "$deb" "$deb" 10000000; done
contents
policy
units
foreign
life
exit $failed
