# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP for tests that are functions: their names begin with test_, their documentation says what they show."""

import os
import sys
import tempfile


class Skip(Exception):
    """A prerequisite is missing."""


def main(names):
    """Runs the functions test_… among the names, each in a folder of its own."""
    tests = [value for name, value in list(names.items()) if name.startswith("test_")]
    failures = 0
    print(f"1..{len(tests)}", flush=True)
    for number, function in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                function()
                print(f"ok {number} - {function.__doc__}", flush=True)
            except Skip as reason:
                print(f"ok {number} - {function.__doc__} # SKIP {reason}", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failures += 1
                print(f"not ok {number} - {function.__doc__}", flush=True)
                for line in f"{type(error).__name__}: {error}".splitlines():
                    print(f"# {line}", flush=True)
            os.chdir("/")
    sys.exit(1 if failures else 0)
