#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What install-packages and fetch-kernel take, of names that differ from release to release.

Usage: test-lists.py SOURCE-FOLDER

dpkg and apt are scripts here: they know, and have, what a test says.
"""
import os
import subprocess
import sys
import tempfile

from tap import main, run, test

SCRIPT = os.path.join(os.path.abspath(sys.argv[1]), "packaging/install-packages")
FETCH = os.path.join(os.path.abspath(sys.argv[1]), "tests/integration/guest/fetch-kernel")
META = "linux-image-cloud-amd64"
NEEDED = subprocess.run([SCRIPT, "--list"], capture_output=True, text=True, check=True).stdout.split()


def write_programs(folder, programs):
    for name, code in programs.items():
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{code}\n")
        os.chmod(f"{folder}/{name}", 0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": folder}


def installed(*words, there=(), known=()):
    """What apt-get is told to install for these words; "" if it is not called."""
    with tempfile.TemporaryDirectory() as folder:
        environment = write_programs(folder, {
            "dpkg-query": f'case " {" ".join(there)} " in *" $4 "*) printf installed ;; *) exit 1 ;; esac',
            "apt-cache": f'case " {" ".join(known)} " in *" $2 "*) ;; *) exit 100 ;; esac',
            "apt-get": f'case $* in *install*) echo "$@" > {folder}/got ;; esac',
            "id": "echo 0",
        })
        subprocess.run([SCRIPT, *words], check=True, capture_output=True, env=environment)
        if not os.path.exists(f"{folder}/got"):
            return ""
        with open(f"{folder}/got", encoding="utf-8") as file:
            return file.read().split("--no-install-recommends ")[1].strip()


def fetched(needs, path):
    """What is in the kernel that is fetched. `needs`: what depends on what; the last one has the file."""
    package = list(needs.values())[-1]
    answers = [f'"depends {name}") echo "  Depends: {other}" ;;' for name, other in needs.items()]
    with tempfile.TemporaryDirectory() as folder:
        tree = f"{folder}/tree"
        for name, text in ((f"{tree}/DEBIAN/control", f"Package: {package}\nVersion: 1\nArchitecture: all\n"
                            "Maintainer: x <x@example.org>\nDescription: x\n"), (tree + path, "a kernel")):
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        run("dpkg-deb", "--root-owner-group", "--build", tree, f"{folder}/made.deb")
        environment = write_programs(folder, {
            "apt-cache": f'case "$1 $3" in {" ".join(answers)} show*) echo "Version: 1" ;; esac',
            "apt-get": f'[ "$3" = {package} ] && cp {folder}/made.deb .',
            "id": "echo 1000",
        })
        output = subprocess.run([FETCH], check=True, capture_output=True, text=True,
                                env=dict(environment, XDG_CACHE_HOME=folder)).stdout.strip()
        assert output.endswith("/vmlinuz-7-cloud_1"), output
        with open(output, encoding="utf-8") as file:
            return file.read()


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


@test("a guest's kernel is found in whichever package and folder the release has it")
def kernel():
    assert fetched({META: "linux-image-7-cloud"}, "/boot/vmlinuz-7-cloud") == "a kernel"
    assert fetched({META: "linux-image-7-cloud", "linux-image-7-cloud": "linux-binary-7-cloud"},
                   "/usr/lib/modules/7-cloud/vmlinuz") == "a kernel"


main(needs=("dpkg-deb",))
