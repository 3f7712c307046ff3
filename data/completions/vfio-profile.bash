# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for vfio-profile(1) and vfio-profiled(8). Commands, options and what they take
# come from --help, names from the host. A domain may have any name: names are compared and
# quoted here, never expanded, so no "compgen -W".

# What can stand for the word $1 of a usage line, one a line.
_vfio_profile_list()
{
    local connect=(${uri:+--connect="$uri"})

    case $1 in
        COMMAND) sed -nE '/^Commands:/,/^$/s/^  ([a-z-]+) .*/\1/p' <<< "$help" ;;
        OPTION) sed -nE 's/^ +(-., )?(--[a-z-]+).*/\2/p' <<< "$help" ;;
        DOMAIN) virsh --quiet "${connect[@]}" list --all --name ;;
        # The first line has the heads; what is indented belongs to the line before.
        PROFILE) vfio-profile profiles "${connect[@]}" | sed -n '2,$s/^\([^ ]\{1,\}\) .*/\1/p' ;;
        RULE) vfio-profile rules "${connect[@]}" | sed -n '2,$s/^\([^ ]\{1,\}\) .*/\1/p' ;;
        # Of the groups that can be assigned what is no bridge.
        ADDRESS) vfio-profile groups | sed -nE "/^Group/h; / bridge,/d; G
            s/^[^0-9G]*([0-9a-f:.]+) .*\\nGroup [0-9]+: (yes|host):.*/\\1/p" ;;
        # "cpu.pin  yes  any  no, yes, required": key=no, key=yes … for each value that is one word.
        KEY) vfio-profile profiles pinned | sed -nE 's/^([a-z]+\.[a-z0-9-]+)  .*/\1=/p' ;;
        KEY=VALUE) vfio-profile profiles pinned | awk -F '  +' '/^[a-z]+\.[a-z0-9-]+  / {
            n = split($NF, values, ", "); for (i = 1; i <= n; i++) if (values[i] !~ / /) print $1 "=" values[i] }' ;;
        USER) compgen -u ;;
        URI) printf '%s\n' qemu:///system qemu:///session ;;
    esac 2> /dev/null
}

# Offers those lines of the list $1 that go on from $current, quoted as the user began to.
_vfio_profile_offer()
{
    local name quoted

    while IFS= read -r name; do
        case $current in
            \'*) quoted=\'${name//\'/\'\\\'\'} ;;
            \"*) quoted=\"$(sed 's/[\\"$`]/\\&/g' <<< "$name") ;;
            *) printf -v quoted %q "$name" ;;
        esac
        [[ -n $name && ${quoted//\\/} == "${current//\\/}"* ]] || continue
        quoted=${quoted#"$there"}
        [[ $current == [\'\"]* ]] && quoted=${quoted:1}
        COMPREPLY+=("$quoted")
    done < <(_vfio_profile_list "$1")
}

# What the option $1 takes: the word behind its "=".
_vfio_profile_takes()
{
    local line

    while read -r line; do
        [[ $line =~ ^((-.), )?(--[a-z-]+)=([^ ]+) && ( $1 == "${BASH_REMATCH[2]}" || $1 == "${BASH_REMATCH[3]}" ) ]] &&
            echo "${BASH_REMATCH[4]}"
    done <<< "$help"
}

# The word of the usage line that argument number $given is.
_vfio_profile_argument()
{
    local line words

    { read -r; read -r line; } <<< "$help"
    [[ $line == *'[OPTION…] '* ]] || return
    line=${line#*'[OPTION…] '}
    read -ra words <<< "${line%%|*}"
    # The last one may be repeated.
    [[ ${words[given]:-} || ${words[-1]} != *…* ]] || given=$((${#words[@]} - 1))
    line=${words[given]:-}
    echo "${line//[][…]/}"
}

_vfio_profile()
{
    local words=() rest=$COMP_LINE word there=0 help uri='' kind='' given=0 current i

    COMPREPLY=()
    # ":" and "=" split words here. They are put together again; readline replaces what stands
    # behind the last of them, so `there` is what it leaves.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i == 0 || $rest == [[:space:]]* ]]; then
            words+=('')
            rest=${rest#"${rest%%[![:space:]]*}"}
        fi
        there=${words[-1]}
        words[-1]+=$word
        rest=${rest#"$word"}
    done
    current=${words[-1]}
    [[ $word =~ ^[:=@]+$ ]] && there=$current

    unset 'words[-1]'
    i=1
    [[ ${words[0]##*/} == vfio-profiled || ${#words[@]} == 1 ]] || i=2
    help=$(LC_ALL=C.UTF-8 "${words[0]##*/}" "${words[@]:1:i - 1}" --help 2> /dev/null)
    for word in "${words[@]:i}"; do
        if [[ -n $kind ]]; then
            [[ $kind == URI ]] && uri=${word//[\'\"\\]/}
            kind=''
        elif [[ $word == --connect=* ]]; then
            uri=${word#*=}
        elif [[ $word == -* ]]; then
            kind=$(_vfio_profile_takes "$word")
        else
            given=$((given + 1))
        fi
    done

    if [[ -n $kind ]]; then
        :
    elif [[ $current == --*=* ]]; then
        kind=$(_vfio_profile_takes "${current%%=*}")
        current=${current#*=}
        there=${there#*=}
    elif [[ $current == -* ]]; then
        kind=OPTION
    elif [[ $i == 1 ]]; then
        kind=COMMAND
    else
        kind=$(_vfio_profile_argument)
    fi
    case $kind in
        FILE*) compopt -o default ;;
        DIR) compopt -o dirnames ;;
        NAME)
            [[ ${words[1]} == profiles ]] && kind=PROFILE || kind=RULE
            _vfio_profile_offer $kind ;;
        SECTION.KEY=VALUE)
            kind=KEY=VALUE
            [[ $current == *=* ]] || { kind=KEY; compopt -o nospace; }
            _vfio_profile_offer $kind ;;
        *) _vfio_profile_offer "$kind" ;;
    esac
}

complete -F _vfio_profile vfio-profile vfio-profiled
