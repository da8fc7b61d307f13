# fish completion for pagectl(1): commands and options are those that its own help names.
function __pagectl_commands
    pagectl --help 2>/dev/null | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 }
        on { name = $1; sub(/^  [a-z]+( [^a-z [][^ ]*| \[[^]]*\]| --[a-z]+)* +/, ""); print name "\t" $0 }'
end
# The command that stands there already; false if there is none.
function __pagectl_command
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word --socket --runtime-dir
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
            return 0
        end
    end
    return 1
end
function __pagectl_wants_command
    set -l command (__pagectl_command)
    or return 0
    test $command = help
end
function __pagectl_options
    pagectl help (__pagectl_command) 2>/dev/null | awk '/^Options:/ { on = 1; next }
        on && match($0, /--[a-z-]+/) { print substr($0, RSTART, RLENGTH) "\t" substr($0, 23) }'
end
complete -c pagectl -f
complete -c pagectl -n __pagectl_wants_command -a '(__pagectl_commands)'
complete -c pagectl -n 'string match -q -- "-*" (commandline -ct)' -a '(__pagectl_options)'
