# fish completion for pagectl(1): commands and options are those that its own help names.
function __pagectl_commands
    pagectl --help 2>/dev/null | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 "\t" substr($0, 23) }'
end
function __pagectl_options
    pagectl help (commandline -opc)[2..-1] 2>/dev/null | awk '/^Options:/ { on = 1; next }
        on && match($0, /--[a-z-]+/) { print substr($0, RSTART, RLENGTH) "\t" substr($0, 23) }'
end
complete -c pagectl -f
complete -c pagectl -n __fish_use_subcommand -a '(__pagectl_commands)'
complete -c pagectl -n 'string match -q -- "-*" (commandline -ct)' -a '(__pagectl_options)'
