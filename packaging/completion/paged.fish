# fish completion for paged(8): options are those that its own help names.
function __paged_options
    paged --help 2>/dev/null | awk 'match($0, /^  --[a-z-]+/) { print substr($0, 3, RLENGTH - 2) "\t" substr($0, 22) }'
end
complete -c paged -f
complete -c paged -a '(__paged_options)'
