#!/usr/bin/env bash
# examples/demo.sh BUILD-DIR - the whole of it in half a minute: a private daemon with a small segment,
# four processes (examples/filecache.c) whose caches together are much larger, one of them killed.
#
# Needs no privilege and no running daemon. Leaves nothing behind, however it ends. Exit status 0: no
# block was wrong and no frame was lost; 1 otherwise.
set -u -o pipefail
export LC_ALL=C

ARCHIVE_BYTES=$((96 << 20)) # of files; the segment gets a fourth of it
PACK_SECONDS=6              # at most, on a slow machine: then it is fewer files
BLOCKS_MIN=8192             # 32 MiB; with fewer there is too little to see
SECONDS_TOTAL=10            # how long the four serve; the one is killed half-way
WAIT_TICKS=100              # of 50 ms: what is waited for takes at most 5 s

build=${1:-build/release}
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
	PAGED_SOCKET=$tmp/paged.sock "$filecache" serve "$tmp/archive" --name "$@" \
		--seconds "$SECONDS_TOTAL" >"$tmp/$1.out" 2>"$tmp/$1.err" &
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
sleep $((SECONDS_TOTAL / 2)) & # in the background: a signal ends the wait at once
wait $!
show_half_way
kill_doomed
wait_for_workers
check_end
conclude
printf 'took %d s\n' "$SECONDS"
[ "$failures" -eq 0 ]
