#!/usr/bin/env bash
# tests/docs/programs.sh BUILD-DIR - what pagectl and paged take, say in --help, have in their manual, and complete.
#
# The tables of getopt_long in the sources are what is taken. Completions are asked as the shells ask them; a shell that
# is not there is skipped, and said. Ends with "N passed, N failed".
set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=$(cd "${1:?usage: programs.sh BUILD-DIR}" && pwd) || exit 1
export PATH=$build/pagectl:$build/daemon/host:$PATH
completion=$root/packaging/completion
passed=0
failed=0

# same NAME GOT WANTED: words in any order.
same() {
	local got wanted
	got=$(tr -s ' \n' '\n\n' <<<"$2" | grep . | sort -u)
	wanted=$(tr -s ' \n' '\n\n' <<<"$3" | grep . | sort -u)
	if [ "$got" = "$wanted" ] && [ -n "$wanted" ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	printf 'FAIL %s\n' "$1"
	diff <(echo "$wanted") <(echo "$got") | grep '^[<>]' | sed 's/^</  missing:/; s/^>/  too much:/'
}

skip() { echo "skipped: $1"; }
taken() { sed -nE 's/^\t\{"([a-z-]+)", (required|no|optional)_argument.*/--\1/p' "$1"; }
options_of() { awk '/^Options:/ { on = 1; next } on' | grep -oE -- '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'; }
help_of() { pagectl help "$@" | options_of; }
commands() { pagectl --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'; }
manual() { sed 's/\\//g' "$build/packaging/man/$1"; }

try_help() {
	local command all=
	for command in $(commands); do all="$all $(help_of "$command")"; done
	same "pagectl takes what some command's help has" "$all" "$(taken "$root/pagectl/options.c")"
	same "paged takes what its help has" "$(paged --help | grep -oE -- '^  --[a-z-]+')" \
		"$(taken "$root/daemon/host/options.c")"
	same "pagectl(1) has each option" \
		"$(for option in $all; do manual pagectl.1 | grep -oE -m 1 -- "$option\b"; done)" "$all"
	same "pagectl(1) has each command" \
		"$(for command in $(commands); do manual pagectl.1 | grep -oE -m 1 -- "\b$command\b"; done)" "$(commands)"
	same "paged(8) has each option" \
		"$(for option in $(taken "$root/daemon/host/options.c"); do manual paged.8 | grep -oE -m 1 -- "$option\b"; done)" \
		"$(taken "$root/daemon/host/options.c")"
}

# What bash offers behind the words.
bash_offers() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	"_$1"
	printf '%s\n' "${COMPREPLY[@]}"
}

fish_offers() {
	fish --no-config -c "source $completion/$1.fish; complete -C '$*'" | cut -f 1
}

# A shell without a terminal completes nothing: the functions that it would call are ours, and print.
zsh_offers() {
	zsh -f -c 'words=("$@"); CURRENT=$#words; PREFIX=${words[CURRENT]}
		_describe() { print -rl -- ${${(P)2}%%:*} }
		_files() { print files }
		function offer { '"$(<"$completion/_$1")"'
		}
		offer' zsh "$@"
}

# try_shell OFFERS: each command, its options, and both behind an option with a value.
try_shell() {
	local command
	# fish and bash offer what begins like the word, zsh leaves that to itself.
	same "$1: commands" "$("$1" pagectl '')" "$(commands)"
	same "$1: commands behind an option" "$("$1" pagectl --socket /x '')" "$(commands)"
	same "$1: commands behind help" "$("$1" pagectl help '')" "$(commands)"
	for command in $(commands); do
		same "$1: options of $command" "$("$1" pagectl "$command" --)" "$(help_of "$command")"
	done
	same "$1: options behind an option" "$("$1" pagectl --runtime-dir d map --)" "$(help_of map)"
	same "$1: options of paged" "$("$1" paged --)" "$(taken "$root/daemon/host/options.c")"
}

try_help
# shellcheck source=/dev/null
source "$completion/pagectl.bash" && source "$completion/paged.bash"
try_shell bash_offers
if command -v fish >/dev/null; then try_shell fish_offers; else skip "no fish here"; fi
if command -v zsh >/dev/null; then try_shell zsh_offers; else skip "no zsh here"; fi
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
