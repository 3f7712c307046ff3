# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the programs say of themselves with --help, and how two lists of words differ.

For test-words.py and test-completion.py, whose arguments these are:
SOURCE-FOLDER VFIO-PROFILE VFIO-PROFILED HOOK EMULATOR
"""

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(sys.argv[1])
PROGRAMS = {os.path.basename(path): os.path.abspath(path) for path in sys.argv[2:]}
TOOL, DAEMON, HOOK, EMULATOR = PROGRAMS
PROFILES = os.path.join(SOURCE, "data/profiles")
OPTION = re.compile(r"^ *(?:(-\w)(?: [^ ,]+)?, )?(--[a-z][a-z-]*)(?:=<?([^\s>]+)>?)?(?:  |$)", re.M)


def environment(**more):
    env = {"PATH": "/usr/bin:/bin", "HOME": os.getcwd(), "LC_ALL": "C.UTF-8", "LIBVIRT_DEFAULT_URI": "test:///default"}
    env.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS") or name == "G_DEBUG"})
    return {**env, **more}


def run(path, *arguments):
    done = subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=environment(), timeout=60, check=False)
    assert done.returncode == 0, f"{path} {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def options(text):
    """{"--file": ("-f", "FILE")}"""
    return {long: (short, value) for short, long, value in OPTION.findall(text)}


class Truth:
    """What the programs say of themselves."""

    def __init__(self, paths):
        help_of = {name: run(path, "--help") for name, path in paths.items()}
        listed = help_of[TOOL].split("Commands:\n")[1].split("\n\n")[0]
        self.commands = re.findall(r"^  ([a-z-]+) ", listed, re.M)
        # By what one types: "vfio-profile", "vfio-profile set" …
        help_of.update({f"{TOOL} {command}": run(paths[TOOL], command, "--help") for command in self.commands})
        self.options = {name: options(text) for name, text in help_of.items()}
        self.usage = {name: text.split("\n")[1].strip() for name, text in help_of.items()
                      if text.startswith("Usage:\n")}
        keys = json.loads(run(paths[TOOL], "profiles", "pinned", "--json", "--profiles", PROFILES))["keys"]
        self.keys = {key["key"]: key for key in keys}


def differences(where, wanted, got):
    return ([f"{where} lacks {word}" for word in wanted if word not in got] +
            [f"{where} has {word}, which is nowhere else" for word in got if word not in wanted] +
            [f"{where} has {word} as {got[word]}, not {wanted[word]}" for word in wanted
             if word in got and isinstance(got, dict) and got[word] != wanted[word]])


def write_program(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)


@functools.cache
def truth():
    return Truth(PROGRAMS)


def none(lacks):
    assert not lacks, "\n".join(lacks)


def more_in_help(tool):
    """The tool with an option, and with a command, that no document has."""
    folder = tempfile.mkdtemp(dir=".")
    write_program(f"{folder}/{TOOL}", f"""tool={shlex.quote(tool)}
case $* in
  '--help') "$tool" --help | sed 's/^  set DOMAIN/  lend USER ADDRESS…  Lend\\n&/' ;;
  'lend --help') printf 'Usage:\\n  vfio-profile lend [OPTION…] USER ADDRESS…\\n\\n  --until=FILE     Words\\n' ;;
  'plan --help') "$tool" plan --help | sed 's/^  -d, --diff/  --invented     More words\\n&/' ;;
  *) exec "$tool" "$@" ;;
esac""")
    return os.path.abspath(f"{folder}/{TOOL}")
