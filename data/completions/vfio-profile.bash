# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for vfio-profile(1). A test holds the options below against --help.

# The names of libvirt's domains, of the connection on the command line.
_vfio_profile_domains()
{
    virsh --quiet ${1:+--connect "$1"} list --all --name 2>/dev/null
}

_vfio_profile_profiles()
{
    vfio-profile profiles 2>/dev/null | while read -r name _; do
        [[ $name == PROFILE ]] || echo "$name"
    done
}

# The first line is the heads; what is indented belongs to the line before.
_vfio_profile_rules()
{
    vfio-profile rules ${1:+--connect "$1"} 2>/dev/null | while IFS= read -r line; do
        [[ $line == ' '* || $line == 'RULE '* ]] || echo "${line%% *}"
    done
}

_vfio_profile_keys='cpu.pin= cpu.reserve-cores= cpu.kind= cpu.cache= cpu.topology= cpu.numa= cpu.conflict= cpu.isolate= cpu.irqs= cpu.governor=
    memory.page-size= memory.allocate= memory.deadline= memory.nosharepages=
    hypervisor.kvm-hidden= hypervisor.hyperv= hypervisor.vendor-id= vga.x-vga= vga.method= devices.boot-vga= start.on-stale='

_vfio_profile_options()
{
    local common='--help --version'
    local host='--connect --topology --sysfs --profiles --rules'

    case $1 in
        set) echo "$common --connect --option" ;;
        unset) echo "$common --connect" ;;
        undo) echo "$common --connect --all" ;;
        status) echo "$common --connect --json" ;;
        groups) echo "$common --sysfs --json" ;;
        doctor) echo "$common --connect --topology --profiles --root --json" ;;
        map) echo "$common --connect --topology --sysfs --svg --ascii --json" ;;
        plan) echo "$common $host --file --diff --json" ;;
        rewrite) echo "$common $host --undo --host-only" ;;
        profiles) echo "$common --connect --profiles --json" ;;
        rules) echo "$common --connect --profiles --rules --json --check --enable --disable" ;;
        '') echo "$common" ;;
    esac
}

_vfio_profile()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' uri='' word given=0 i

    COMPREPLY=()
    # "=" is a word of its own here: "--connect = qemu:///system".
    [[ $current == '=' ]] && current=''
    [[ $previous == '=' ]] && ((COMP_CWORD >= 2)) && previous=${COMP_WORDS[COMP_CWORD - 2]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case ${COMP_WORDS[i - 1]} in
            --connect | -c) [[ $word == '=' ]] || { uri=$word; continue; } ;;
            --option | -o | --file | -f | --topology | --sysfs | --root | --profiles | --rules | --svg | \
                --check | --enable | --disable) continue ;;
        esac
        [[ $word == -* || $word == '=' || ${COMP_WORDS[i - 1]} == '=' ]] && continue
        if [[ -z $command ]]; then
            command=$word
        else
            ((given++))
        fi
    done

    case $previous in
        --connect | -c)
            COMPREPLY=($(compgen -W 'qemu:///system qemu:///session' -- "$current"))
            # Colons break words, too: what stands before the last of them is there already.
            declare -F __ltrim_colon_completions > /dev/null && __ltrim_colon_completions "$current"
            return ;;
        --option | -o)
            COMPREPLY=($(compgen -W "$_vfio_profile_keys" -- "$current"))
            compopt -o nospace 2> /dev/null
            return ;;
        --enable | --disable)
            COMPREPLY=($(compgen -W "$(_vfio_profile_rules "$uri")" -- "$current"))
            return ;;
        --file | -f | --topology | --svg | --check)
            COMPREPLY=($(compgen -f -- "$current"))
            compopt -o filenames 2> /dev/null
            return ;;
        --sysfs | --root | --profiles | --rules)
            COMPREPLY=($(compgen -d -- "$current"))
            compopt -o filenames 2> /dev/null
            return ;;
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$(_vfio_profile_options "$command")" -- "$current"))
        return
    fi
    case $command:$given in
        :*) COMPREPLY=($(compgen -W 'set unset undo status plan map groups doctor rewrite profiles rules' -- "$current")) ;;
        set:0 | unset:0 | undo:* | plan:0 | doctor:0 | status:*)
            COMPREPLY=($(compgen -W "$(_vfio_profile_domains "$uri")" -- "$current")) ;;
        rules:0) COMPREPLY=($(compgen -W "$(_vfio_profile_rules "$uri")" -- "$current")) ;;
        set:* | profiles:0) COMPREPLY=($(compgen -W "$(_vfio_profile_profiles)" -- "$current")) ;;
        rewrite:0 | map:*)
            COMPREPLY=($(compgen -f -- "$current"))
            compopt -o filenames 2> /dev/null ;;
    esac
}

complete -F _vfio_profile vfio-profile
