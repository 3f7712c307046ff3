# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for vfio-profile(1) and vfio-profiled(8). Commands, options and what they take
# come from --help, names from the host. fish itself quotes what is chosen.

# Sets kind, the word of the usage line that stands at the cursor, in the caller; and help and uri.
function __vfio_profile_look --no-scope-shadowing
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '.*/' '' -- $words[1])
    set -l given 1
    set -e words[1]
    set uri
    set kind
    set command
    if test "$program" = vfio-profile; and set -q words[1]
        set command $words[1]
        set -e words[1]
    end
    set help (env LC_ALL=C.UTF-8 $program $command --help 2>/dev/null)
    for word in $words
        if test -n "$kind"
            test "$kind" = URI; and set uri --connect=$word
            set kind
        else if string match -q -- '--connect=*' $word
            set uri $word
        else if string match -q -- '-*' $word
            set kind (__vfio_profile_takes $word)
        else
            set given (math $given + 1)
        end
    end
    if test -n "$kind"
    else if string match -q -- '--*=*' $current
        set kind (__vfio_profile_takes (string replace -r '=.*' '' -- $current))
    else if string match -q -- '-*' $current
        set kind OPTION
    else if test "$program" = vfio-profile -a -z "$command"
        set kind COMMAND
    else
        set -l usage (string split -n ' ' -- (string replace -rf '^  [^\[]*\[OPTION…\] ([^|]*).*' '$1' -- $help[2]))
        # The last one may be repeated.
        test $given -gt (count $usage); and string match -q -- '*…*' $usage[-1]; and set given -1
        set kind (string replace -ra '[][…]' '' -- $usage[$given])
    end
end

# What an option takes: the word behind its "=".
function __vfio_profile_takes --no-scope-shadowing
    for line in $help
        set -l found (string match -r -- '^ +(?:(-.), )?(--[a-z-]+)=(\S+)' $line)
        and contains -- $argv[1] $found[2..-2]
        and echo $found[-1]
    end
end

# What can stand for a word of the usage line: a line each, and behind a tab what it is.
function __vfio_profile_list --no-scope-shadowing
    switch "$kind"
        case COMMAND
            string replace -rf '^  ([a-z][a-z-]*) .*?  +(\S.*)' '$1\t$2' -- $help
        case OPTION
            string replace -rf '^ +(?:-., )?(--[a-z-]+)(?:=\S+)?  +(.*)' '$1\t$2' -- $help
        case DOMAIN
            virsh --quiet $uri list --all --name | string match -v ''
        case PROFILE
            # The first line has the heads; what is indented belongs to the line before.
            vfio-profile profiles $uri | sed 1d | string replace -rf '^(\S+) +(\S.*?)  .*' '$1\t$2'
        case RULE
            vfio-profile rules $uri | sed 1d | string replace -rf '^(\S+) +(\S+)  .*' '$1\t$2'
        case ADDRESS
            # Of the groups that can be assigned what is no bridge.
            set -l group
            for line in (vfio-profile groups)
                string match -q 'Group *' -- $line; and set group $line
                string match -rq '^Group \d+: (yes|host):' -- $group
                and string replace -rf '^[^0-9G]*([0-9a-f:.]+) (?!.* bridge,)(.*)' '$1\t$2' -- $line
            end
        case SECTION.KEY=VALUE
            # "cpu.pin  yes  any  no, yes, required": each value that is one word.
            for line in (vfio-profile profiles pinned)
                set -l found (string match -r '^([a-z]+\.[a-z0-9-]+)  .*  (\S.*)$' -- $line)
                or continue
                echo $found[2]=
                string split ', ' -- $found[3] | string replace -rf '^(\S+)$' "$found[2]=\$1"
            end
        case USER
            __fish_complete_users
        case URI
            printf '%s\n' qemu:///system qemu:///session
    end 2>/dev/null
end

function __vfio_profile
    __vfio_profile_look
    test "$kind" = NAME; and set kind (test "$command" = profiles; and echo PROFILE; or echo RULE)
    # "--connect=qemu…": what is offered is the whole word.
    set -l before (string match -r -- '^--[a-z-]+=' (commandline -ct))
    for line in (__vfio_profile_list)
        echo -- "$before$line"
    end
end

function __vfio_profile_wants_file
    __vfio_profile_look
    string match -qr '^(FILE|DIR)' -- $kind
end

for program in vfio-profile vfio-profiled
    complete -c $program -f -a '(__vfio_profile)'
    complete -c $program -n __vfio_profile_wants_file -F
end
