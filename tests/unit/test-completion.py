#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The completions of bash, zsh and fish, asked as a person asks them.

Usage: test-completion.py SOURCE-FOLDER VFIO-PROFILE VFIO-PROFILED HOOK EMULATOR

They offer the words of --help, no more and no fewer, and what a name is in the shell's own words. A
shell that is not there is a skip. Prints TAP.
"""

import os
import re
import shlex
import shutil
import tempfile

import shells
from tap import Skip, main
from words import DAEMON, PROFILES, PROGRAMS, SOURCE, TOOL, differences, environment, more_in_help, none, truth
from words import write_program

RULES = os.path.join(SOURCE, "data/rules")
SYSFS = os.path.join(SOURCE, "tests/data/sysfs/howto-2015")
DOMAINS = ["win10", "win11", "My \"big\" guest's", "$(touch expanded)", "`touch expanded`", "a;b", "col:on", "zürich*",
           "-dash"]


def prepare_path(tool):
    """A folder of programs: ours, with the shipped files and a recorded machine, and a virsh with known domains."""
    folder = tempfile.mkdtemp(dir=".")
    files = f"--profiles {shlex.quote(PROFILES)}"
    write_program(f"{folder}/{TOOL}", f"""tool={shlex.quote(tool)}
case $1 in
  profiles) exec "$tool" "$@" {files} ;;
  rules) exec "$tool" "$@" {files} --rules {shlex.quote(RULES)} ;;
  groups) exec "$tool" "$@" --sysfs {shlex.quote(SYSFS)} ;;
esac
exec "$tool" "$@" """)
    write_program(f"{folder}/{DAEMON}", f'exec {shlex.quote(PROGRAMS[DAEMON])} "$@"')
    names = " ".join(map(shlex.quote, DOMAINS))
    write_program(f"{folder}/virsh", f"""case $* in
  *--connect=qemu:///session*) echo mine ;;
  *) printf '%s\\n' {names} '' ;;
esac""")
    return os.path.abspath(folder)


def open_shell(kind, completions=f"{SOURCE}/data/completions", tool=PROGRAMS[TOOL]):
    if shutil.which(kind.__name__.lower()) is None:
        raise Skip(f"no {kind.__name__.lower()}")
    return kind(completions, environment(PATH=f"{prepare_path(tool)}:/usr/bin:/bin"))


def lacks_in_completion(truth, shell):
    lacks = differences("no command", truth.commands, shell.offers(f"{TOOL} "))
    for name in (TOOL, DAEMON, *(f"{TOOL} {command}" for command in truth.commands)):
        lacks += differences(f"'{name}'", list(truth.options[name]), shell.offers(f"{name} --"))
    return lacks


def check_values(truth, shell):
    """Each word of a usage line, and what each option takes."""
    def offers(line):
        # Some shells offer the whole word, others what is behind "=".
        return {word.split("=", 1)[1] if word.startswith("--") and "=" in word else word for word in shell.offers(line)}

    def quoted(words):
        return {" ".join(shlex.split(word)) if isinstance(shell, shells.Interactive) else word for word in words}

    profiles = {name[:-5] for name in os.listdir(PROFILES)}
    rules = {name[:-5] for name in os.listdir(RULES) if name.endswith(".conf")}
    own = {"win10", "win11"}
    for line, wanted in {
            "unset ": DOMAINS, "set win10 ": profiles, "set win10 pinned ": profiles, "unset win1": own,
            "set -o cpu.pin=no win1": own, "set --option cpu.pin=no win1": own, "plan --file x -d win1": own,
            "doctor win1": own, "status win10 win1": own, "undo win1": own, "plan --sysfs /sys --profiles /x win1": own,
            "unset -c qemu:///session ": {"mine"}, "plan --connect qemu:///session ": {"mine"},
            "plan --connect=qemu:///session ": {"mine"},
            "groups ": set(), "profiles ": profiles, "profiles pin": {"pinned"}, "rules ": rules,
            "rules --enable ": rules, "rules --disable=": rules, "rules --enable 50-gpu --disable 10": {"10-hashtag"},
            "status -c ": {"qemu:///system", "qemu:///session"},
            "status --connect=": {"qemu:///system", "qemu:///session"},
            "set win10 --option vga.me": {"vga.method="}, "set win10 -o cpu.ki": {"cpu.kind="},
    }.items():
        got = quoted(offers(f"{TOOL} {line}"))
        if not wanted:  # zsh offers the options then
            got = {word for word in got if not word.startswith("-")}
        if line.startswith("set win10 -"):  # a key with or without its "=" and its values
            got = {f"{word.split('=')[0]}=" for word in got}
        assert got == set(wanted), (line, got, wanted)
    if "sequester" in truth.commands:
        assert any("02:00.1" in word for word in shell.offers(f"{TOOL} sequester 0000:01:00.0 "))
    keys = {word.split("=")[0] for word in offers(f"{TOOL} set win10 -o ")}
    assert keys == set(truth.keys), differences(f"'{TOOL} set --option'", list(truth.keys), keys)
    for line in ("set -o cpu.pin=", "set --option cpu.pin=", "set --option=cpu.pin="):
        values = {word.split("=")[-1] for word in offers(f"{TOOL} {line}")} - {""}
        assert values == {"no", "yes", "required"}, (line, values)
    assert {word.split("=")[-1] for word in offers(f"{TOOL} set -o memory.page-size=")} - {""} == {"off", "auto"}


def check_lines(shell):
    """The line after Tab is what it has to be: quoted, with nothing expanded."""
    os.makedirs("a folder/in it", exist_ok=True)
    for name in ("a folder/guest one.xml", "plain.xml"):
        with open(name, "w", encoding="utf-8"):
            pass
    for typed, name in {"My": DOMAINS[2], '"My': DOMAINS[2], "'My": DOMAINS[2], "\\$": DOMAINS[3], "'$": DOMAINS[3],
                        "\\`": DOMAINS[4], "a": "a;b", "col": "col:on", "col:": "col:on", "z": "zürich*"}.items():
        line = shell.typed(f"{TOOL} unset {typed}")
        # fish keeps its own rule for a quote within quotes.
        line = line.replace("guest\\'s'", "guest'\\''s'")
        assert shlex.split(line) == [TOOL, "unset", name], (typed, line)
    for typed, wanted in {"rewrite pl": "plain.xml", "plan --file pl": "plain.xml", "plan --file=pl": "plain.xml",
                          "map plain.xml a": "a folder/", "plan --sysfs a": "a folder/", "rules --rules=a": "a folder/",
                          "rules --check a\\ folder/g": "a folder/guest one.xml",
                          "plan -f 'a folder/g": "a folder/guest one.xml",
                          "rules --rules 'a folder/i": "a folder/in it/",
                          "status --connect=qemu:///se": "qemu:///session",
                          "set --option=vga.x-vga=au": "auto"}.items():
        line = shell.typed(f"{TOOL} {typed}")
        # The quote may still be open where a path goes on.
        last = shlex.split(line + "'" if line.count("'") % 2 else line)[-1]
        assert last.split("=")[-1] == wanted, (typed, line)
    assert not os.path.exists("expanded"), "a domain's name was run as a command"


def add_shell(kind):
    name = kind.__name__.lower()

    def test_words():
        shell = open_shell(kind)
        try:
            none(lacks_in_completion(truth(), shell))
            check_values(truth(), shell)
        finally:
            shell.close()

    def test_lines():
        shell = open_shell(kind)
        try:
            check_lines(shell)
        finally:
            shell.close()

    def test_more():
        """With a new command in --help, and with a completion that has lost one."""
        tool = more_in_help(PROGRAMS[TOOL])
        shell = open_shell(kind, tool=tool)
        try:
            assert {"lend"} == shell.offers(f"{TOOL} le") and "--invented" in shell.offers(f"{TOOL} plan --")
            users = {re.split("[:=]", word)[-1] for word in shell.offers(f"{TOOL} lend roo")}
            assert "root" in users, users
            cards = {word.replace("\\", "") for word in shell.offers(f"{TOOL} lend root 0000:0")}
            cards = {word if word.startswith("0000:0") else f"0000:{word}" for word in cards}
            assert {"0000:01:00.0", "0000:01:00.1", "0000:02:00.0"} <= cards, cards
            assert not cards & {"0000:00:01.0", "0000:00:1f.0", "0000:00:00.0"}, f"parts of the board: {cards}"
            line = shell.typed(f"{TOOL} lend root 0000:02:00.0 0000:01:00.1")
            assert shlex.split(line)[-1] == "0000:01:00.1", line
            lacks = lacks_in_completion(truth(), shell)
            assert any("--invented" in lack for lack in lacks) and any("lend" in lack for lack in lacks), lacks
        finally:
            shell.close()

    for function, title in ((test_words, "offers each command, option, key, profile, rule and domain"),
                            (test_lines, "completes names with spaces and quotes, and files, and expands nothing"),
                            (test_more, "follows --help, and a difference is named")):
        function.__doc__ = f"{name} {title}"
        globals()[f"{function.__name__}_{name}"] = function


for shell_kind in shells.SHELLS:
    add_shell(shell_kind)


main(globals())
