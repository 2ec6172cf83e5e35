#!/bin/sh
# Runs inside a minimal Debian: the life of the package given as $1, without a running systemd.
set -eux
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get install -y --no-install-recommends "$1"
id peerbee | grep -q dialout
test "$(systemctl is-enabled peerbee.service)" = enabled
test "$(systemctl is-enabled peerbee-hive.service || true)" = disabled
peerbee version
peerbee config check
test "$(stat -c %U:%a /etc/peerbee/peerbee.toml)" = root:644

# Installed again over an edited file and a disabled service: both stay as they are.
echo '# mine' >>/etc/peerbee/peerbee.toml
systemctl disable peerbee.service
dpkg -i --force-confold "$1"
tail -1 /etc/peerbee/peerbee.toml | grep -q mine
test "$(systemctl is-enabled peerbee.service || true)" = disabled

# Removal keeps keys and configuration; purge is the administrator's word that they may go.
mkdir -p /var/lib/peerbee /var/lib/peerbee-hive
apt-get remove -y peerbee
test -d /var/lib/peerbee
test -f /etc/peerbee/peerbee.toml
apt-get install -y "$1"
apt-get purge -y peerbee
test ! -e /var/lib/peerbee
test ! -e /var/lib/peerbee-hive
test -z "$(find /etc /usr /var/lib/systemd -name '*peerbee*')"
