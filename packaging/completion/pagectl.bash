# bash completion for pagectl(1): commands and options are those that its own help names.
_pagectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= word i
	case $prev in
	--socket | --runtime-dir | --out)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--simulate)
		mapfile -t COMPREPLY < <(compgen -W 'none low medium critical off' -- "$cur")
		return
		;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--socket | --runtime-dir) i=$((i + 1)) ;;
		-*) ;;
		*)
			command=$word
			break
			;;
		esac
	done
	if [[ $cur == -* ]]; then
		# shellcheck disable=SC2086
		mapfile -t COMPREPLY < <(compgen -W "$(pagectl help $command 2>/dev/null |
			awk '/^Options:/ { on = 1; next } on' | grep -oE -- '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+')" -- "$cur")
	elif [[ -z $command || $command == help ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(pagectl --help 2>/dev/null |
			awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }')" -- "$cur")
	fi
}
complete -F _pagectl pagectl
