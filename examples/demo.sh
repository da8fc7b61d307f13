#!/usr/bin/env bash
# examples/demo.sh BUILD-DIR [--kill-server] - the whole of it in half a minute: a private daemon with a
# small segment, four processes (examples/filecache.c) whose caches together are much larger, one of
# them killed.
#
# --kill-server: the daemon's server is killed as well, with SIGKILL, about once a second for some twenty
# seconds, and it is told how long that held the processes up. Takes three quarters of a minute.
#
# Needs no privilege and no running daemon. Leaves nothing behind, however it ends. Exit status 0: no
# block was wrong and no frame was lost; 1 otherwise.
set -u -o pipefail
export LC_ALL=C

ARCHIVE_BYTES=$((96 << 20)) # of files; the segment gets a fourth of it
PACK_SECONDS=6              # at most, on a slow machine: then it is fewer files
BLOCKS_MIN=8192             # 32 MiB; with fewer there is too little to see
SECONDS_TOTAL=10            # how long the four serve; the one is killed half-way
SECONDS_KILLING=30          # the same with --kill-server
KILL_EVERY=1.1              # s; less, and the supervisor takes it for a server that cannot live
WAIT_TICKS=100              # of 50 ms: what is waited for takes at most 5 s

build=build/release
killing=false
for word in "$@"; do
	case $word in
	--kill-server) killing=true ;;
	-*)
		echo "demo: unknown option $word; there is --kill-server" >&2
		exit 2
		;;
	*) build=$word ;;
	esac
done
if $killing; then SECONDS_TOTAL=$SECONDS_KILLING; fi
here=$(cd "$(dirname "$0")" && pwd) || exit 1
case $build in /*) ;; *) build=$PWD/$build ;; esac
filecache=$build/examples/filecache
paged=$build/daemon/host/paged
for program in "$filecache" "$paged" "$build/pagectl/pagectl"; do
	if [ ! -x "$program" ]; then
		echo "demo: $program is missing; build first: $(dirname "$here")/dev demo" >&2
		exit 2
	fi
done

instance=demo-$$
tmp=
daemon=
declare -A worker=()
failures=0
server_kills=0

# --- words ------------------------------------------------------------------------------------------

title() { printf '\n--- %s\n' "$*"; }
say() { printf '%s\n' "$*" | fold -s -w 96 | sed 's/ $//'; }

fail() {
	printf 'FAILED: %s\n' "$*"
	failures=$((failures + 1))
}

# What cannot go on: the trap cleans up.
die() {
	printf 'demo: %s\n' "$*" >&2
	[ -n "$tmp" ] && [ -s "$tmp/paged.log" ] && tail -n 20 "$tmp/paged.log" >&2
	exit 1
}

# --- leaving nothing behind -------------------------------------------------------------------------

is_alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

# stop PID: ends a child of ours, in order if it will, and reaps it.
stop() {
	local pid=$1 i
	is_alive "$pid" || return 0
	kill -CONT "$pid" 2>/dev/null
	kill -TERM "$pid" 2>/dev/null
	for ((i = 0; i < WAIT_TICKS; i++)); do
		is_alive "$pid" || break
		sleep 0.05
	done
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

cleanup() {
	local pid
	trap '' INT TERM HUP
	for pid in "${worker[@]}"; do
		kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	stop "$daemon"
	# A named segment outlives its daemon, so that a restart loses nothing. This one has served.
	rm -f "/dev/shm/paged-$instance-"*
	[ -n "$tmp" ] && rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- asking the daemon ------------------------------------------------------------------------------

pagectl() { "$build/pagectl/pagectl" "$@" --runtime-dir "$tmp"; }

# show COMMAND: what pagectl prints, as one would see it.
show() {
	printf '\n  $ pagectl %s\n' "$*"
	pagectl "$@" | sed 's/^/    /'
}

# status_number KEY: a number of `pagectl status --json`.
status_number() {
	pagectl status --json | awk -F'[:,]' -v key="\"$1\"" '$1 ~ key { print $2 + 0; exit }'
}

# counter NAME: a counter of `pagectl vmstat`.
counter() { pagectl vmstat | awk -v name="$1" '$1 == name { print $2 }'; }

# owned PID: frames of the client that this process is; nothing if there is none.
owned() {
	pagectl clients --json | awk -F'[:,]' -v pid="$1" '
		$1 ~ /"pid"/ { mine = $2 + 0 == pid }
		$1 ~ /"owned"/ && mine { print $2 + 0; exit }'
}

# wait_for COMMAND...: until it succeeds.
wait_for() {
	local i
	for ((i = 0; i < WAIT_TICKS; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}

# owned_by_others PID: frames of all clients but this one.
owned_by_others() {
	pagectl clients --json | awk -F'[:,]' -v pid="$1" '
		$1 ~ /"pid"/ { other = $2 + 0 != pid }
		$1 ~ /"owned"/ && other { sum += $2 }
		END { print sum + 0 }'
}

# No frame moves any more: the same counts three times in a row.
settle() {
	local last='' now same=0 i
	for ((i = 0; i < WAIT_TICKS && same < 3; i++)); do
		now=$(pagectl vmstat | grep -E '^(pgalloc|pgfree) ')
		if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
		last=$now
		sleep 0.05
	done
}

client_is_gone() { [ -z "$(owned "$1")" ]; }
deaths_are() { [ "$(counter client_death)" -ge "$1" ]; }

# --- the play ---------------------------------------------------------------------------------------

prepare() {
	local blocks pageblocks
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/paged-demo.XXXXXX") || die "no temporary directory"
	title "Files"
	say "Packing files under /usr/lib, deflated in blocks of 4 KiB: whoever needs a block that is" \
		"not cached has to inflate it."
	"$filecache" pack "$tmp/archive" --bytes "$ARCHIVE_BYTES" --seconds "$PACK_SECONDS" \
		/usr/lib >"$tmp/pack" || die "nothing packed"
	cat "$tmp/pack"
	blocks=$(awk '{ print $1 }' "$tmp/pack")
	[ "$blocks" -ge "$BLOCKS_MIN" ] || die "too few files under /usr/lib, or too slow a machine"
	# A fourth of the files, in whole pageblocks of 512 frames, which are 2 MiB.
	pageblocks=$(((blocks / 4 + 511) / 512))
	segment=$((2 * pageblocks))
	# So small a segment would have a batch of 1 frame and watermarks a few dozen frames apart: many
	# small steps. These are nearer to what a large one has.
	cat >"$tmp/paged.conf" <<-CONF
		[segment]
		size = ${segment}M
		[pcp]
		batch = 16
		[reclaim]
		watermark_scale = 300
	CONF
}

start_daemon() {
	title "The daemon"
	say "paged owns a segment of $segment MiB, a fourth of the files. Clients map it; frames are 4 KiB."
	"$paged" --runtime-dir "$tmp" --instance "$instance" --config "$tmp/paged.conf" --foreground \
		>"$tmp/paged.log" 2>&1 &
	daemon=$!
	wait_for pagectl status || die "the daemon does not answer; its log:"
	show status
}

# start NAME OPTION...
start() {
	local -a gauge=()
	if $killing; then gauge=(--gauge "$tmp/$1.gauge"); fi
	PAGED_SOCKET=$tmp/paged.sock "$filecache" serve "$tmp/archive" --name "$@" \
		--seconds "$SECONDS_TOTAL" "${gauge[@]}" >"$tmp/$1.out" 2>"$tmp/$1.err" &
	worker[$1]=$!
}

start_workers() {
	title "Four processes"
	say "Each serves blocks, some asked for far more often than others (zipf), from a cache of its own" \
		"that it lets grow without a limit. Each block is compared with the file it is from."
	say "  steady    asks for few blocks, over and over"
	say "  wide      asks for nearly everything"
	say "  early     is busy for 3 seconds, then idle, with a cache that nobody uses"
	say "  doomed    is killed half-way, with SIGKILL"
	start steady --skew 1.2 --seed 1
	start wide --skew 0.6 --seed 2
	start early --skew 0.8 --seed 3 --work 3
	start doomed --skew 1.0 --seed 4
}

# Waits so many seconds; with --kill-server the server, the only child of the supervisor that we
# started, is killed meanwhile.
serve_for() {
	local end=$((SECONDS + $1)) server
	if ! $killing; then
		sleep "$1" & # in the background: a signal ends the wait at once
		wait $!
		return
	fi
	title "kill -9 of the server, every $KILL_EVERY seconds"
	say "The supervisor starts another one, which takes the segment over as it is. The processes go on" \
		"with the frames that they have, and wait only when they need the daemon."
	while [ "$SECONDS" -lt "$end" ]; do
		sleep "$KILL_EVERY" &
		wait $!
		read -r server _ <"/proc/$daemon/task/$daemon/children"
		if [ -n "$server" ] && kill -KILL "$server" 2>/dev/null; then
			server_kills=$((server_kills + 1))
		fi
	done
	wait_for pagectl status || fail "no server took over"
	printf '%d servers killed so far\n' "$server_kills"
}

show_half_way() {
	title "Half-way: the segment is full"
	say "When a process needs a frame and none is free, the daemon asks the caches of all (SCANNED, FREED)" \
		"and each drops what it has not used for longest; BACK are frames that came back. So what" \
		"early left behind goes to those who are busy: its FRAMES shrink."
	show caches
	show clients
	show status
}

# All are frozen, so that no other frame moves while we count. The doomed one is frozen, and dies, in
# the middle of whatever it was doing. What came back is what the pool has more afterwards: frames that
# are free or somebody else's.
kill_doomed() {
	local pid=${worker[doomed]} had before back deaths
	title "kill -9"
	kill -STOP "${worker[@]}"
	settle
	had=$(owned "$pid")
	before=$(($(status_number free) + $(owned_by_others "$pid")))
	deaths=$(counter client_death)
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	unset 'worker[doomed]'
	if ! wait_for client_is_gone "$pid" || ! wait_for deaths_are $((deaths + 1)); then
		fail "the daemon still lists the dead process"
	fi
	settle
	back=$(($(status_number free) + $(owned_by_others "$pid") - before))
	say "doomed owned ${had:-no} frames when it was killed; $back frames came back from it."
	[ "${had:-0}" -gt 0 ] || fail "doomed owned nothing: this run shows nothing"
	[ "$back" -eq "${had:-0}" ] || fail "$((${had:-0} - back)) frames of the dead process were lost"
	kill -CONT "${worker[@]}"
	say "The others work again. Does every invariant hold, meanwhile?"
	show check || fail "an invariant is broken"
}

wait_for_workers() {
	local name
	title "The end"
	for name in steady wide early; do
		wait "${worker[$name]}" || fail "$name ended with an error"
		unset "worker[$name]"
	done
	cat "$tmp"/*.err
	say "held, peak: blocks in its cache at the end, and at most. pruned: dropped because the daemon asked." \
		"dropped: by itself. wrong: differed from the file. (doomed: the last it said)"
	printf '\n'
	head -n 1 "$tmp/steady.out"
	for name in steady wide early doomed; do
		tail -n 1 "$tmp/$name.out"
	done
}

check_end() {
	local frames free unmanaged
	show status
	show check || fail "an invariant is broken"
	frames=$(status_number frames)
	free=$(status_number free)
	unmanaged=$(status_number unmanaged)
	if [ -z "$frames" ] || [ "$((free + unmanaged))" -ne "$frames" ]; then
		fail "$((frames - free - unmanaged)) of ${frames:-?} frames did not come back"
	fi
}

sum() { tail -qn 1 "$tmp"/{steady,wide,early,doomed}.out | awk -v n="$1" '{ s += $n } END { print s + 0 }'; }

# percentiles KIND: "N p50 p99 max" of what the gauges of all processes measured.
percentiles() {
	cat "$tmp"/*.gauge 2>/dev/null | awk -v kind="$1" '$1 == kind { print $2 }' | sort -n | awk '
		{ value[NR] = $1 }
		END {
			if (NR == 0) { print 0, 0, 0, 0; exit }
			print NR, value[int((NR + 1) / 2)], value[int(NR * 0.99) + (NR * 0.99 > int(NR * 0.99))], value[NR]
		}'
}

show_held_up() {
	local n p50 p99 max kind
	title "How long they were held up"
	say "Longest call to the daemon in each outage and process; then the fast path: a frame given back and" \
		"one taken, while the daemon was away and, to compare, while it was there. What is longest" \
		"there is a processor that was not to be had."
	read -r n p50 p99 max < <(percentiles call)
	[ "$n" -gt 0 ] || fail "no process noticed an outage: this run shows nothing"
	awk -v n="$n" -v a="$p50" -v b="$p99" -v c="$max" 'BEGIN {
		printf "calls that needed the daemon  %7d outages  p50 %8.1f ms  p99 %8.1f ms  max %8.1f ms\n",
			n, a / 1e3, b / 1e3, c / 1e3 }'
	for kind in pair-away pair-there; do
		read -r n p50 p99 max < <(percentiles "$kind")
		awk -v what="fast path, ${kind#pair-}" -v n="$n" -v a="$p50" -v b="$p99" -v c="$max" 'BEGIN {
			printf "%-28s  %7d pairs    p50 %8.2f us  p99 %8.2f us  max %8.2f us\n",
				what, n, a / 1e3, b / 1e3, c / 1e3 }'
	done
	printf 'server kills %d, errors %d\n' "$server_kills" "$(cat "$tmp"/*.err | wc -l)"
	[ "$(cat "$tmp"/*.err | wc -l)" -eq 0 ] || fail "calls failed"
}

conclude() {
	local mismatches
	mismatches=$(sum 12)
	title "In short"
	printf 'requests %d, hits %d, misses %d, blocks pruned %d, mismatches %d, frames not free %d\n' \
		"$(sum 2)" "$(sum 3)" "$(sum 4)" "$(sum 10)" "$mismatches" \
		"$(($(status_number frames) - $(status_number free)))"
	[ "$mismatches" -eq 0 ] || fail "$mismatches blocks were wrong"
	[ "$(sum 2)" -gt 0 ] || fail "nothing was served"
	[ "$(sum 10)" -gt 0 ] || fail "nothing was pruned: this run shows nothing"
}

SECONDS=0
prepare
start_daemon
start_workers
if $killing; then serve_for $((SECONDS_TOTAL / 2 - 3)); else serve_for $((SECONDS_TOTAL / 2)); fi
show_half_way
kill_doomed
if $killing; then serve_for $((SECONDS_TOTAL / 2 - 5)); fi
wait_for_workers
check_end
if $killing; then show_held_up; fi
conclude
printf 'took %d s\n' "$SECONDS"
[ "$failures" -eq 0 ]
