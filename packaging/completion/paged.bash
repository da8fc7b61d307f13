# bash completion for paged(8): options are those that its own help names.
_paged() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	case $prev in
	--config | --runtime-dir) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	--instance) ;;
	*) mapfile -t COMPREPLY < <(compgen -W "$(paged --help 2>/dev/null | grep -oE -- '^  --[a-z-]+')" -- "$cur") ;;
	esac
}
complete -F _paged paged
