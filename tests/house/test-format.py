# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sources are as .clang-format has them."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit"))
import tap  # pylint: disable=wrong-import-position

ROOT = os.path.abspath(sys.argv[1])
VERSION = "14"  # others lay out some things differently
FOLDERS = ("lib", "daemon", "hooks", "cli", "tests")


def find_formatter():
    """The program of our version."""
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name) is None:
            continue
        said = subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout
        if re.search(rf"version {VERSION}\.", said):
            return name
    raise tap.Skip(f"needs clang-format {VERSION}, which is not installed")


def test_format():
    """each file is as clang-format lays it out"""
    files = [os.path.join(folder, name) for top in FOLDERS for folder, _, names in os.walk(os.path.join(ROOT, top))
             for name in names if name.endswith((".c", ".h"))]
    run = subprocess.run([find_formatter(), "--dry-run", "--Werror", *sorted(files)], capture_output=True, text=True,
                         check=False, cwd=ROOT)
    wrong = sorted(set(re.findall(r"^(\S+?:\d+):\d+: error:", run.stderr, re.M)))
    assert run.returncode == 0, "\n".join([f"{len(wrong)} lines; CONTRIBUTING.md has the command",
                                           *(os.path.relpath(line, ROOT) for line in wrong[:50])])


tap.main(globals())
