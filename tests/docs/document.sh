#!/usr/bin/env bash
# tests/docs/document.sh FILE [TAG [only]] - runs the command lines of a document, in order, in this one shell.
#
#   ```console          a line that begins with "$ " is a command, one with "> " its continuation; the lines up to
#                       the next command are what it prints. "..." stands for anything, also for lines.
#   ```console TAG      only where TAG is asked for: "service" lines need the packages and systemd, and are
#                       for a machine that has them; with "only" nothing else is run
#   ```console terminal as the plain ones, on a pty of 100x40, on which q is typed
#   ```LANGUAGE file=X  written to X in the current folder
#
# Each command has to end with status 0 and to print what the document says. What it starts in the background
# is ended with the document. Prints each failure as FILE:LINE, and at the end how many there were.
set -u
file=$1
tag=${2:-}
only=${3:-}
passed=0
failed=0
tmp=$(mktemp -d) || exit 1
# Also what a daemon of its left whose instance has our number in it, where a failure kept it from removing that.
trap 'jobs -p | xargs -r kill 2>/dev/null; wait; rm -rf "$tmp" /dev/shm/paged-*-$$-*' EXIT

# says TEXT PATTERN: is it the same, but for what "..." stands for?
says() {
	local pattern
	pattern=$(printf '%s' "$2" | sed -e 's/[][\\*?]/\\&/g' -e 's/\.\.\./*/g')
	# shellcheck disable=SC2053
	[[ $1 == $pattern ]]
}

run_one() {
	local line=$1 command=$2 expected=$3 terminal=$4 out r
	[ -n "$command" ] || return 0
	if [ "$terminal" = 1 ]; then
		printf q | script -qec "stty rows 40 cols 100; $command" /dev/null >"$tmp/out" 2>&1
	else
		eval "$command" >"$tmp/out" 2>&1 </dev/null
	fi
	r=$?
	# without what this shell says of a job that was killed
	out=$(sed '/document\.sh: line [0-9]*: *[0-9]* \(Killed\|Terminated\) /d' "$tmp/out")
	[ "$terminal" = 1 ] && out=
	if [ $r -eq 0 ] && says "$out" "$expected"; then
		passed=$((passed + 1))
		return 0
	fi
	failed=$((failed + 1))
	printf '%s:%d: $ %s\n--- status %d, and it printed:\n%s\n--- the document says:\n%s\n' \
		"$file" "$line" "$command" "$r" "$out" "$expected"
}

block=     # none, skip, file, console
line=0
at=0
command=
expected=
terminal=0
while IFS= read -r text <&9 || [ -n "$text" ]; do
	line=$((line + 1))
	case $block:$text in
	:'```console' | :'```console terminal')
		[ -n "$only" ] && block=skip || block=console
		[ "$text" = '```console terminal' ] && terminal=1 || terminal=0
		;;
	:'```console '*)
		if [ -n "$tag" ] && [ "$text" = "\`\`\`console $tag" ]; then block=console; else block=skip; fi
		;;
	:'```'*' file='*)
		if [ -n "$only" ]; then
			block=skip
			continue
		fi
		block='file'
		name=${text##* file=}
		: >"$name"
		;;
	:'```'*) block=skip ;;
	console:'```')
		run_one "$at" "$command" "$expected" "$terminal"
		command=
		expected=
		block=
		;;
	*:'```') block= ;;
	file:*) printf '%s\n' "$text" >>"$name" ;;
	console:'$ '*)
		run_one "$at" "$command" "$expected" "$terminal"
		at=$line
		command=${text#'$ '}
		expected=
		;;
	console:'> '*) command=$command$'\n'${text#'> '} ;;
	console:*) expected=$expected${expected:+$'\n'}$text ;;
	esac
done 9<"$file"
printf '%s: %d commands, %d failed\n' "$file" $((passed + failed)) "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
