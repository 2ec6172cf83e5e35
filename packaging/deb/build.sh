#!/bin/sh
# Builds OUT/peerbee_VERSION-1_ARCH.deb for each named architecture: packaging/deb/build.sh amd64 arm64
# OUT is dist unless it is set. The same commit gives the same bytes: times come from SOURCE_DATE_EPOCH or the commit.
set -eu
cd "$(dirname "$0")/../.."
command -v dpkg-deb >/dev/null || {
	echo "error: packages are built with dpkg-deb, which is not here" >&2
	echo "hint: apt-get install dpkg, or build on Debian" >&2
	exit 1
}
out=${OUT:-dist}
version=$(sed -n 's/^var Version = "\(.*\)"/\1/p' gateway/doc.go)-1
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C
umask 022
stage=$out/stage
doc=$stage/usr/share/doc/peerbee
rm -rf "$stage"
mkdir -p "$doc"
trap 'rm -rf "$stage" "$out/native"' EXIT

at() { date -u -d "@$SOURCE_DATE_EPOCH" "$1"; }

put() { # put MODE SOURCE TARGET
	install -D -m "$1" "$2" "$stage$3"
}

# The manual page and the completions come from the program itself, so a copy for this machine is built first.
GOOS='' GOARCH='' make -s build BIN="$out/native"
mkdir -p "$stage/usr/share/man/man1" "$stage/usr/share/bash-completion/completions" \
	"$stage/usr/share/zsh/vendor-completions" "$stage/usr/share/fish/vendor_completions.d"
"$out/native" man --date "$(at +%Y-%m-%d)" | gzip -9n >"$stage/usr/share/man/man1/peerbee.1.gz"
"$out/native" completion bash >"$stage/usr/share/bash-completion/completions/peerbee"
"$out/native" completion zsh >"$stage/usr/share/zsh/vendor-completions/_peerbee"
"$out/native" completion fish >"$stage/usr/share/fish/vendor_completions.d/peerbee.fish"

gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
{
	echo "peerbee ($version) stable; urgency=medium"
	printf '\n  * What changed stands in changelog.gz beside this file.\n\n'
	echo " -- $(sed -n 's/^Maintainer: //p' packaging/deb/control)  $(at '+%a, %d %b %Y %H:%M:%S +0000')"
} | gzip -9n >"$doc/changelog.Debian.gz"
put 644 packaging/deb/copyright /usr/share/doc/peerbee/copyright
put 644 packaging/deb/lintian-overrides /usr/share/lintian/overrides/peerbee
put 644 packaging/deb/peerbee.toml /etc/peerbee/peerbee.toml
put 644 systemd/peerbee.service /usr/lib/systemd/system/peerbee.service
put 644 systemd/peerbee-hive.service /usr/lib/systemd/system/peerbee-hive.service
put 644 systemd/peerbee.sysusers /usr/lib/sysusers.d/peerbee.conf
for script in postinst prerm postrm; do
	put 755 packaging/deb/$script /DEBIAN/$script
done
echo /etc/peerbee/peerbee.toml >"$stage/DEBIAN/conffiles"

for arch in "$@"; do
	GOOS=linux GOARCH=$arch CGO_ENABLED=0 make -s build BIN="$out/peerbee-$arch"
	put 755 "$out/peerbee-$arch" /usr/bin/peerbee
	(cd "$stage" && find etc usr -type f | sort | xargs md5sum >DEBIAN/md5sums)
	size=$(cd "$stage" && find etc usr -type f -printf '%s\n' | awk '{ kb += int(($1 + 1023) / 1024) } END { print kb }')
	sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$size/" packaging/deb/control >"$stage/DEBIAN/control"
	deb=$out/peerbee_${version}_$arch.deb
	# One thread: with more, the bytes would depend on the machine. 32 MB of dictionary is what a small Pi can spare.
	dpkg-deb --threads-max=1 --root-owner-group -Zxz -z8 -Sextreme --build "$stage" "$deb" >/dev/null
	stat -c '%n %s' "$deb" "$out/peerbee-$arch" | awk '{ printf "%s  %.1f MB\n", $1, $2 / 1e6 }'
done
