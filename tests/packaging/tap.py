# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP, for the tests of packages: functions in their order, each one line."""
import os
import subprocess
import sys

_tests = []


class Skip(Exception):
    """A prerequisite is missing; the text says which."""


def test(description):
    def add(function):
        _tests.append((description, function))
        return function

    return add


def note(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def run(*command, ok=True, **more):
    """Both outputs of a command as one text. ok=None: any exit status."""
    env = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8", **more.pop("env", {}))
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, **more)
    if ok is not None and (result.returncode == 0) != ok:
        raise AssertionError(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


def missing(*programs):
    """Those that this machine does not have."""
    folders = "/usr/sbin:/usr/bin:/sbin:/bin".split(":")
    return [name for name in programs if not any(os.access(f"{folder}/{name}", os.X_OK) for folder in folders)]


def main(needs=()):
    absent = missing(*needs)
    if absent:
        print(f"1..0 # SKIP needs {', '.join(absent)}")
        return
    failed = False
    print(f"1..{len(_tests)}", flush=True)
    for number, (description, function) in enumerate(_tests, 1):
        try:
            function()
            print(f"ok {number} - {description}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {description} # SKIP {reason}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed = True
            print(f"not ok {number} - {description}", flush=True)
            note(f"{type(error).__name__}: {error}")
    sys.exit(1 if failed else 0)
