#!/bin/bash
# tests/service/run.sh DIST - installs the packages of DIST in a Debian that is booted for it, and uses them.
#
# The tree is made by debootstrap once and kept in ${XDG_CACHE_HOME:-~/.cache}/paged; each run boots a copy with
# systemd-nspawn, under a name of its own, with no network and without the host's service manager (--register=no
# --keep-unit). What is checked is inside.sh; it runs as a unit in there. Two newer versions of the packages are made from
# DIST, for the upgrades: the same files with another number.
#
# Where that cannot be done (not root, no systemd-nspawn, no tree to be had, no boot) it says why and counts as skipped:
# exit 77. Ends with "N passed, N failed, N skipped".
set -u -o pipefail

here=$(cd "$(dirname "$0")" && pwd) || exit 1
base=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,procps,passwd,curl
suite=bookworm
boot_seconds=540

skip() {
	echo "skipped service: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}

# Of a Debian package its files with another version: what an upgrade brings.
newer() {
	local deb=$1 suffix=$2 to=$3 tree
	tree=$work/repack
	rm -rf "$tree"
	dpkg-deb -R "$deb" "$tree" &&
		sed -i -E "s/^Version: .*/&$suffix/; s/((paged|pagectl|libpageclient0) \(= [^)]*)\)/\1$suffix)/g" "$tree/DEBIAN/control" &&
		dpkg-deb -b --root-owner-group "$tree" "$to" >/dev/null
}

# What the packages depend on, the first of alternatives, but not on each other: "a,b,c".
depends() {
	local deb
	for deb in "$dist"/*.deb; do
		case $deb in *dbgsym*) continue ;; esac
		dpkg-deb -f "$deb" Depends Pre-Depends
	done | sed -E 's/^[A-Za-z-]+: //' | tr ',' '\n' | sed -E 's/^ +//; s/[ :|(].*//' |
		grep -vE '^$|^(paged|pagectl|libpageclient.*)$' | sort -u | paste -sd ,
}

make_tree() {
	local log=$work/debootstrap.log
	[ -f "$cached" ] && return 0
	echo "making the Debian tree (once)"
	mkdir -p "$(dirname "$cached")" &&
		debootstrap --variant=minbase --include="$packages" "$suite" "$work/new" "${PAGED_MIRROR:-http://deb.debian.org/debian}" \
			>"$log" 2>&1 && rm -rf "$work"/new/var/cache/apt/archives/*.deb &&
		tar -C "$work/new" --one-file-system -cf "$cached.new" . && mv "$cached.new" "$cached" && rm -rf "$work/new" &&
		return 0
	tail -n 5 "$log"
	return 1
}

# The packages, two newer versions of them, the documents, and the client, compiled with what a developer would install.
make_bundle() {
	local bundle=$1 deb
	mkdir -p "$bundle/dist" "$bundle/2" "$bundle/3" "$work/dev" || return 1
	for deb in "$dist"/*.deb; do
		cp "$deb" "$bundle/dist/" && newer "$deb" +2 "$bundle/2/" && newer "$deb" +3 "$bundle/3/" || return 1
		case $deb in */libpageclient*) dpkg-deb -x "$deb" "$work/dev" || return 1 ;; esac
	done
	cc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -I"$work/dev/usr/include" "$here/load.c" -o "$bundle/load" \
		-L"$(dirname "$(find "$work/dev" -name libpageclient.so)")" -lpageclient &&
		cp "$here/inside.sh" "$here/../docs/document.sh" "$bundle/" && cp -r "$here/../../docs" "$bundle/"
}

# Its end is the machine's end.
make_unit() {
	cat >"$1/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
Description=tests/service/inside.sh
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/bash /paged/inside.sh
StandardOutput=append:/paged/log
StandardError=append:/paged/log
[Install]
WantedBy=default.target
UNIT
	mkdir -p "$1/etc/systemd/system/default.target.wants" &&
		ln -s ../inside.service "$1/etc/systemd/system/default.target.wants/" &&
		rm -f "$1/etc/machine-id" && systemd-machine-id-setup --root="$1" >/dev/null 2>&1
}

boot() {
	timeout --kill-after=20 "$boot_seconds" systemd-nspawn --quiet --directory="$1" --machine="paged-$$-$RANDOM" \
		--register=no --keep-unit --private-network --link-journal=no --console=pipe --boot \
		--bind="$2:/paged" systemd.firstboot=no </dev/null >"$work/console" 2>&1
}

[ $# -eq 1 ] && [ -d "$1" ] || { echo "usage: tests/service/run.sh DIST" >&2; exit 2; }
dist=$(cd "$1" && pwd)
ls "$dist"/paged_*.deb >/dev/null 2>&1 || { echo "$dist has no packages; ./dev package makes them" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || skip "only root can boot a tree"
command -v systemd-nspawn >/dev/null || skip "there is no systemd-nspawn (package systemd-container)"
command -v debootstrap >/dev/null || skip "there is no debootstrap"
packages=$base,$(depends)
cached=${XDG_CACHE_HOME:-$HOME/.cache}/paged/$suite-$(echo "$packages" | cksum | cut -d ' ' -f 1).tar

work=$(mktemp -d /var/tmp/paged-service-XXXXXX) || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM
make_tree || skip "the Debian tree could not be made"
mkdir "$work/tree" "$work/bundle" && tar -C "$work/tree" -xf "$cached" && make_bundle "$work/bundle" &&
	make_unit "$work/tree" || { echo "the machine could not be prepared"; exit 1; }
boot "$work/tree" "$work/bundle"
if [ ! -s "$work/bundle/log" ]; then
	tail -n 20 "$work/console"
	skip "the tree does not boot here (see above)"
fi
cat "$work/bundle/log"
[ -f "$work/bundle/journal" ] && [ -n "${PAGED_SERVICE_JOURNAL:-}" ] && cp "$work/bundle/journal" "$PAGED_SERVICE_JOURNAL"
last=$(tail -n 1 "$work/bundle/log")
case $last in
*" 0 failed, "*) exit 0 ;;
*" passed, "*) [ -f "$work/bundle/journal" ] && sed 's/^/journal: /' "$work/bundle/journal" | tail -n 60 ;;
*) echo "the machine ended before the test did"; echo "0 passed, 1 failed, 0 skipped" ;;
esac
exit 1
