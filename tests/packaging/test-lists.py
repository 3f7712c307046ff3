#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What install-packages installs, of names that differ from release to release.

Usage: test-lists.py SOURCE-FOLDER

dpkg and apt are scripts here: they know, and have, what a test says.
"""
import os
import subprocess
import sys
import tempfile

from tap import main, test

SCRIPT = os.path.join(os.path.abspath(sys.argv[1]), "packaging/install-packages")
NEEDED = subprocess.run([SCRIPT, "--list"], capture_output=True, text=True, check=True).stdout.split()


def installed(*words, there=(), known=()):
    """What apt-get is told to install for these words; "" if it is not called."""
    with tempfile.TemporaryDirectory() as folder:
        for name, code in {
            "dpkg-query": f'case " {" ".join(there)} " in *" $4 "*) printf installed ;; *) exit 1 ;; esac',
            "apt-cache": f'case " {" ".join(known)} " in *" $2 "*) ;; *) exit 100 ;; esac',
            "apt-get": f'case $* in *install*) echo "$@" > {folder}/got ;; esac',
            "id": "echo 0",
        }.items():
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n{code}\n")
            os.chmod(f"{folder}/{name}", 0o755)
        subprocess.run([SCRIPT, *words], check=True, capture_output=True,
                       env={"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": folder})
        if not os.path.exists(f"{folder}/got"):
            return ""
        with open(f"{folder}/got", encoding="utf-8") as file:
            return file.read().split("--no-install-recommends ")[1].strip()


@test("what is there is left alone, under whichever of its names")
def there():
    words = [word.split("|")[-1] for word in NEEDED]
    assert installed(there=words) == ""
    assert installed("one|other", there=[*words, "other"], known=["one", "other"]) == ""


@test("of several names it is the first that the release has")
def choice():
    plain = [word for word in NEEDED if "|" not in word]
    assert installed(there=plain, known=["libselinux1-dev"]) == "libselinux1-dev"
    # sid still has the old one, which cannot be installed.
    assert installed(there=plain, known=["libselinux1-dev", "libselinux-dev"]) == "libselinux-dev"
    assert installed("one|other", there=[word.split("|")[0] for word in NEEDED], known=["one", "other"]) == "one"


@test("where the release has none of them, that is apt's to say, unless none will do")
def none():
    first = [word.split("|")[0] for word in NEEDED]
    assert installed("one|other", there=first) == "one"
    assert installed("one|", there=first) == ""
    assert installed("one|", there=first, known=["one"]) == "one"


main()
