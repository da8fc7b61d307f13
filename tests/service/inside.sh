#!/bin/bash
# tests/service/inside.sh - what an administrator does with the service, in a booted Debian; started by run.sh as a unit.
#
# /paged has the packages, two newer versions of them, the documents, and the program load. Each check is a line "ok NAME" or "FAIL
# NAME" on stdout, with what was seen; a later check does not depend on an earlier one's success, as far as that can be.
set -u
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PAGER=cat SYSTEMD_COLORS=0
bundle=/paged
passed=0
failed=0
skipped=0

# check NAME COMMAND...: the command says whether it holds.
check() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok   $name"
	else
		failed=$((failed + 1))
		echo "FAIL $name"
		[ -z "$out" ] || printf '%s\n' "$out" | tail -n 30 | sed 's/^/     /'
	fi
}

skip() {
	skipped=$((skipped + 1))
	echo "skipped $1: $2"
}

# until SECONDS COMMAND...: looks again until it holds. Nothing tells of what is waited for here.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { "$@"; return 1; }
		sleep 0.1
	done
}

# --- looking ---------------------------------------------------------------------------------------

property() { systemctl show --value -p "$2" "$1"; }
main_pid() { property "${1:-paged.service}" MainPID; }
server_pid() { pgrep -P "$(main_pid "$@")"; }
is() { [ "$(property "$1" "$2")" = "$3" ] || { echo "$2 of $1 is $(property "$1" "$2"), not $3"; return 1; }; }
says() { property paged.service StatusText | grep -F "$1" || { property paged.service StatusText; return 1; }; }
has_stored() { is paged.service NFileDescriptorStore "$1"; }
journal() { journalctl -q -u paged.service -o cat | grep -F -e "$1"; }
journal_count() { journalctl -q -u paged.service -o cat | grep -c -F -e "$1"; }
status_of() { runuser -u worker -- pagectl status --json; }
changed() { [ "$(eval "$1")" != "$2" ] && [ -n "$(eval "$1")" ] && [ "$(eval "$1")" != 0 ]; }
no() { ! "$@"; }

# --- a client under load ---------------------------------------------------------------------------

load_unit=load1
client= # its number
# start_load HELD: $load_unit, as the user worker, who is in the group paged.
start_load() {
	rm -f "/tmp/$load_unit"
	systemd-run --quiet --unit="$load_unit" -p User=worker -p StandardError=journal "$bundle/load" "$1" "/tmp/$load_unit" &&
		until_true 20 is_connected
}

field() { awk -v n="$1" 'NR == 1 { print $n }' "/tmp/$load_unit" 2>/dev/null; }
rounds() { field 1; }
is_connected() { [ "$(field 3)" = 0 ] || { echo "the client says: $(cat "/tmp/$load_unit")"; return 1; }; }
has_moved() { [ "$(rounds)" -gt "$1" ] || { echo "the client stands: $(cat "/tmp/$load_unit")"; return 1; }; }

# It works on, is attached, and has what it had: the same client of the daemon, with at least its frames.
goes_on() {
	local seen
	until_true 20 is_connected && seen=$(rounds) && until_true 20 has_moved $((seen + 3)) &&
		systemctl is-active "$load_unit" && until_true 20 is_attached
}
is_attached() { pagectl clients | awk -v id="$client" '$1 == id && /load/ { found = 1 } END { exit !found }'; }
client_id() { pagectl clients | awk '/load/ { print $1; exit }'; }

stop_load() {
	systemctl stop "$load_unit" && is "$load_unit" Result success
	local r=$?
	systemctl reset-failed "$load_unit" 2>/dev/null
	return $r
}

# --- installation ----------------------------------------------------------------------------------

# Nothing is fetched: what the packages depend on is in the tree.
install_from() {
	apt-get install -y --no-install-recommends "$@"
}

# As the README has it, on a Debian that never had them.
is_two_commands() {
	cd $bundle && apt install -y ./dist/*.deb
}

answers_at_once() {
	systemctl start paged.socket && pagectl status | grep '^instance *system$' && is paged.service ActiveState active
}

is_installed() {
	systemctl is-enabled paged.socket && systemctl is-active paged.socket && is paged.service ActiveState inactive &&
		getent passwd paged && [ -S /run/paged/paged.sock ] &&
		[ "$(stat -c %U:%G:%a /run/paged/paged.sock)" = paged:paged:660 ]
}

verify_is_silent() {
	local out
	out=$(systemd-analyze verify --man=no paged.service paged.socket paged@a.service paged@a.socket \
		paged-exporter.service 2>&1)
	[ -z "$out" ] || { echo "$out"; return 1; }
}

exposure_is_low() {
	local level
	level=$(systemd-analyze security --no-pager "$1" | sed -n 's/.*Overall exposure level[^:]*: *\([0-9.]*\).*/\1/p')
	echo "exposure: $level"
	[ -n "$level" ] && awk -v level="$level" 'BEGIN { exit !(level <= 1.0) }'
}

# The lines of a document that are for a machine with packages and systemd.
document_holds() {
	(cd $bundle && bash document.sh "docs/$1" service only)
}

try_documents() {
	local document
	for document in $(cd $bundle/docs && grep -lE '^```console service$' ./*.md ./*/*.md); do
		check "what ${document#./} says of the service" document_holds "${document#./}"
	done
	systemctl disable --now paged-exporter
	systemctl stop 'paged@*.socket' 'paged@*.service' paged.service
	rm -f /dev/shm/paged-*
}

try_installation() {
	check "packages install" is_two_commands
	check "the socket listens, the daemon waits to be called" is_installed
	check "systemctl start paged.socket, pagectl status, and no other step" answers_at_once
	check "systemd-analyze verify is silent" verify_is_silent
	check "systemd-analyze security says at most 1.0" exposure_is_low paged.service
	check "and of the exporter" exposure_is_low paged-exporter.service
	try_documents
	useradd -m worker && usermod -a -G paged worker && useradd -m stranger
	mkdir -p /etc/paged/paged.conf.d
	printf '[segment]\nsize = 64M\nbacking = posix\n' >/etc/paged/paged.conf
}

# --- the exporter ----------------------------------------------------------------------------------

scraped() { curl -sf "${@:2}" http://127.0.0.1:9789/metrics | grep -x "$1"; }

exporter_serves() {
	systemctl start paged-exporter && until_true 10 scraped 'paged_up 1' && scraped 'paged_segment_bytes 67108864'
}

exporter_has_no_rights() {
	local pid user
	pid=$(main_pid paged-exporter.service) && user=$(stat -c %U "/proc/$pid") &&
		grep -E '^CapEff:\s*0+$' "/proc/$pid/status" && grep -E '^Seccomp:\s*2' "/proc/$pid/status" || return 1
	[ "$user" != root ] && [ "$user" != paged ] || { echo "it is $user"; return 1; }
}

exporter_is() {
	mkdir -p /run/systemd/system/paged-exporter.service.d
	printf '[Service]\n%b\n' "$1" >/run/systemd/system/paged-exporter.service.d/test.conf
	systemctl daemon-reload && systemctl restart paged-exporter
}

# The daemon goes by the unit's name: another program in its place attaches no client.
unit_may_only_look() {
	exporter_is "ExecStart=\nExecStart=$bundle/load 1 /tmp/load\nRestart=no"
	until_true 10 eval 'journalctl -q -u paged-exporter.service -o cat | grep "access = observe"'
}

exporter_on_a_socket() {
	local socket=/run/paged-exporter/http.sock
	exporter_is "ExecStart=\nExecStart=/usr/bin/pagectl --socket /run/paged/paged.sock exporter --listen unix:$socket
RuntimeDirectory=paged-exporter\nUMask=0000"
	until_true 10 [ -S $socket ] && runuser -u stranger -- curl -sf --unix-socket $socket http://x/metrics | grep -x 'paged_up 1'
}

try_exporter() {
	check "the exporter is scraped" exporter_serves
	check "the exporter has no rights" exporter_has_no_rights
	check "its unit may look, and attach no client" unit_may_only_look
	check "the exporter on a socket of its own" exporter_on_a_socket
	rm -r /run/systemd/system/paged-exporter.service.d
	systemctl daemon-reload
	systemctl restart paged-exporter # it stays: upgrades and the purge find it
}

# --- life ------------------------------------------------------------------------------------------

stranger_is_refused() {
	local out
	out=$(runuser -u stranger -- $bundle/load 1 /tmp/stranger 2>&1) && return 1
	echo "$out" | grep -i 'permission\|not for' || { echo "$out"; return 1; }
}

sees_no_more_than_it_may() {
	status_of | grep '"instance": *"system"' && no runuser -u worker -- pagectl drain && pagectl drain
}

has_no_rights() {
	local pid
	pid=$(server_pid) && grep -E '^CapEff:\s*0+$' "/proc/$pid/status" && grep -E '^Seccomp:\s*2' "/proc/$pid/status" &&
		grep -E '^NoNewPrivs:\s*1' "/proc/$pid/status" && [ "$(stat -c %U "/proc/$pid")" = paged ]
}

# What the manager could not give is said; what it gave is there.
limits_are_told() {
	local score
	score=$(cat "/proc/$(server_pid)/oom_score_adj")
	grep 'Max open files *16384' "/proc/$(server_pid)/limits" || return 1
	if [ "$score" = -900 ]; then no journal "oom_score_adj is"; else journal "oom_score_adj is $score"; fi
}

try_life() {
	check "a client of another user starts it through the socket" start_load 500
	client=$(client_id)
	check "the service runs" is paged.service ActiveState active
	check "the status tells of it" until_true 10 says "serving 1 client"
	check "who is not in the group is refused" stranger_is_refused
	check "pagectl status for who may connect, pagectl drain for root" sees_no_more_than_it_may
	check "the journal has its start" journal "serving instance system"
	check "no capability, a system call filter, its own user" has_no_rights
	check "limits that were not given are told" limits_are_told
	check "what it keeps for the client is in the fd store" until_true 10 has_stored 1
}

reload_counts() {
	printf '[limits]\nclient_max = 32M\n' >/etc/paged/paged.conf.d/50-test.conf
	systemctl reload paged && until_true 10 journal "limits.client_max: 32M" && is paged.service ActiveState active &&
		pagectl clients --json | grep '"max": *8192'
}

bad_reload_changes_nothing() {
	printf '[limits]\nclient_max = much\n' >/etc/paged/paged.conf.d/60-bad.conf
	no systemctl reload paged && until_true 10 eval 'journalctl -q -t paged -o cat | grep -F "60-bad.conf:2: limits.client_max"' && is paged.service ActiveState active &&
		pagectl config | grep 'limits.client_max *32M .*50-test.conf:2'
	local r=$?
	rm /etc/paged/paged.conf.d/60-bad.conf
	return $r
}

server_is_replaced() {
	local pid main
	pid=$(server_pid) && main=$(main_pid) && kill "-$1" "$pid" && until_true 30 changed server_pid "$pid" &&
		[ "$(main_pid)" = "$main" ] && goes_on
}

service_is_replaced() {
	local main
	main=$(main_pid) && "$@" && until_true 30 changed main_pid "$main" && until_true 20 is paged.service ActiveState active &&
		goes_on
}

# A supervisor that hangs can be seen by the service manager only.
watchdog_replaces_it() {
	mkdir -p /run/systemd/system/paged.service.d
	printf '[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n' >/run/systemd/system/paged.service.d/watchdog.conf
	systemctl daemon-reload && systemctl restart paged && goes_on && service_is_replaced kill -STOP "$(main_pid)" &&
		journalctl -q -u paged.service -o cat | grep -i 'watchdog timeout'
	local r=$?
	rm -r /run/systemd/system/paged.service.d
	systemctl daemon-reload
	systemctl restart paged
	return $r
}

try_deaths() {
	check "$1: SIGKILL of the server, clients go on" server_is_replaced KILL
	check "$1: a server that hangs is replaced" server_is_replaced STOP
	check "$1: SIGKILL of the whole service, clients go on" service_is_replaced systemctl kill -s KILL paged.service
	check "$1: a supervisor that hangs meets the watchdog" watchdog_replaces_it
	check "$1: restart, frames kept" service_is_replaced systemctl restart paged
	check "$1: everything adds up" pagectl check
}

# The socket's unit stays as it is: clients that come meanwhile wait in it.
upgrade_restarts() {
	local socket
	socket=$(property paged.socket InvocationID) && service_is_replaced install_from "$1"/*.deb &&
		[ "$(property paged.socket InvocationID)" = "$socket" ] && dpkg-query -W paged | grep "$2"
}

# --- memfd -----------------------------------------------------------------------------------------

begin_memfd() {
	printf '[segment]\nsize = 64M\nbacking = memfd\n' >/etc/paged/paged.conf
	systemctl stop paged && rm -f /dev/shm/paged-system-* && start_load 500
}

try_memfd() {
	load_unit=load2
	check "memfd: a segment without a name" begin_memfd
	client=$(client_id)
	check "memfd: nothing in /dev/shm" no eval 'ls /dev/shm/paged-system-* 2>/dev/null'
	check "memfd: segment and client are in the fd store" until_true 10 has_stored 4
	try_deaths memfd
	check "memfd: upgrade restarts, frames kept" upgrade_restarts $bundle/3 +3
	check "memfd: the client never saw a wrong frame" stop_load
	check "memfd: what it kept for the client is gone" until_true 10 has_stored 3
}

# Its files in /etc and the segment stay over a removal, and so does who may connect.
is_installed_again() {
	systemctl stop paged && apt-get remove -y paged && [ ! -S /run/paged/paged.sock ] && install_from $bundle/3/*.deb &&
		is_installed && status_of | grep '"instance": *"system"'
}

# What the package brought of explanations is in the journal's catalogue.
entries_are_explained() {
	journalctl -q -u paged.service -x | grep -F 'Subject: The server of paged died' &&
		journalctl -q -u paged.service -x | grep -F 'Its supervisor starts another one'
}

# --- others ----------------------------------------------------------------------------------------

tenant_has_its_own() {
	groupadd tenant && useradd -m -G tenant lodger &&
		printf '[segment]\nsize = 32M\nbacking = posix\n' >/etc/paged/tenant.conf &&
		systemctl start paged@tenant.socket &&
		runuser -u lodger -- pagectl --runtime-dir /run/paged-tenant status --json | grep '"instance": *"tenant"' &&
		no runuser -u worker -- pagectl --runtime-dir /run/paged-tenant status && ls /dev/shm/paged-tenant-data &&
		journalctl -q -u paged@tenant.service -o cat | grep 'serving instance tenant.*32M'
}

as_user() {
	runuser -u worker -- env XDG_RUNTIME_DIR="/run/user/$(id -u worker)" \
		DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$(id -u worker)/bus" "$@"
}

user_units_verify() {
	local out
	out=$(as_user systemd-analyze --user verify --man=no paged.service paged.socket 2>&1)
	[ -z "$out" ] || { echo "$out"; return 1; }
}

user_has_its_own() {
	loginctl enable-linger worker && until_true 20 [ -S "/run/user/$(id -u worker)/bus" ] &&
		as_user systemctl --user start paged.socket && as_user pagectl status --json | grep "\"instance\": *\"user-$(id -u worker)\"" &&
		as_user systemctl --user is-active paged.service
}

# By an upgrade to the version that is there: dpkg does the same.
upgrade_restarts_others() {
	local before tenant
	tenant=$(main_pid paged@tenant.service) && [ "$tenant" != 0 ] || return 1
	before=$(as_user systemctl --user show --value -p MainPID paged.service) && [ "$before" != 0 ] &&
		install_from --reinstall $bundle/3/*.deb &&
		until_true 20 eval 'as_user systemctl --user is-active paged.service &&
			[ "$(as_user systemctl --user show --value -p MainPID paged.service)" != '"$before"' ]' &&
		as_user pagectl status | grep 'epoch 2' && until_true 20 is paged@tenant.service ActiveState active &&
		[ "$(main_pid paged@tenant.service)" != "$tenant" ]
}

# The socket alone: no /dev/shm, another user namespace, other pids.
stranger_lands_work() {
	runuser -u worker -- unshare --user --map-root-user --pid --fork --mount sh -c '
		mount -t tmpfs none /dev/shm && mount -t proc proc /proc && exec timeout 5 '$bundle'/load 100 /tmp/apart'
	local r=$?
	[ $r -eq 124 ] && [ "$(awk '{ print $3, $4 }' /tmp/apart)" = "0 100" ]
}

try_others() {
	check "an instance for a group of its own" tenant_has_its_own
	check "a client in other user, pid and mount namespaces" stranger_lands_work
	if [ -e /lib/systemd/system/user@.service ] && command -v loginctl >/dev/null; then
		check "a user's own daemon, as a user unit" user_has_its_own
		check "an upgrade restarts it, too, and instances" upgrade_restarts_others
		check "systemd-analyze verify is silent on a user's units" user_units_verify
	else
		skip "a user's own daemon" "no user manager in the tree"
	fi
}

# A user's daemon and the exporter still run: the removal stops them.
stop_leaves_the_segment() {
	systemctl stop paged.service paged.socket && [ ! -e /run/paged/paged.sock ] && is paged.service ActiveState inactive &&
		is paged.service Result success
}

purge_leaves_nothing() {
	apt-get purge -y paged pagectl libpageclient0 libpageclient-dev || return 1
	local left
	# A user's segment is the user's, and goes with the last logout.
	loginctl disable-linger worker
	until_true 20 no eval 'ls /dev/shm/paged-user-* 2>/dev/null'
	left=$({ ls -d /dev/shm/paged-* /run/paged* /etc/paged* /usr/lib/paged* /lib/systemd/system/paged* \
		/etc/systemd/system/*/paged* /usr/share/doc/paged* /var/lib/systemd/deb-systemd-helper-enabled/*paged* \
		/usr/lib/sysusers.d/paged* /usr/lib/tmpfiles.d/paged*; getent passwd paged; getent group paged
		pgrep -a -x 'paged|pagectl'; dpkg-query -W -f '${Package} ${Status}\n' 'paged*' pagectl 'libpageclient*' |
			grep -v 'unknown ok not-installed'; } 2>/dev/null)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

try_installation
if [ "$failed" -ne 0 ] && ! command -v paged >/dev/null; then # the rest would only wait
	echo "$passed passed, $failed failed, $skipped skipped"
	exit 1
fi
try_life
try_exporter
check "reload takes limits over" reload_counts
check "reload of nonsense changes nothing" bad_reload_changes_nothing
try_deaths posix
check "posix: a stop of the service alone: who is attached starts it again" service_is_replaced systemctl stop paged.service
check "posix: upgrade restarts, frames kept" upgrade_restarts $bundle/2 +2
check "posix: the client never saw a wrong frame" stop_load
try_memfd
check "removed and installed again, it listens" is_installed_again
check "the entries of the journal are explained" entries_are_explained
try_others
check "stop is a stop" stop_leaves_the_segment
check "purge leaves no trace" purge_leaves_nothing
[ "$failed" -eq 0 ] || journalctl -q -b -u 'paged*' -u 'load*' --no-pager -o short-monotonic | tail -n 120 >"$bundle/journal"
echo "$passed passed, $failed failed, $skipped skipped"
