#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the small programs that libvirt runs need to be loaded: no GLib, and so nothing of lib/, which needs it.

Usage: test-needed.py HOOK EMULATOR
"""

import os
import re
import shutil
import subprocess
import sys

import tap

HOOK, EMULATOR = map(os.path.abspath, sys.argv[1:])
# The C library under its names, and what a build with sanitizers adds.
ALWAYS = r"libc\.|ld-|libasan\.|libubsan\.|libtsan\.|libgcc_s\.|libclang_rt\.|libm\.|libresolv\.|libpthread\.|libdl\.|librt\."


def others(program):
    if shutil.which("readelf") is None:
        raise tap.Skip("there is no readelf (package binutils)")
    text = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", text)
    assert any(name.startswith("libc.") for name in needed), text
    return sorted(name for name in needed if not re.match(ALWAYS, name))


def test_hook():
    """the hook needs the C library alone"""
    assert not others(HOOK), others(HOOK)


def test_emulator():
    """the wrapper's interpreter needs the C library and json-c"""
    assert all(re.match(r"libjson-c\.", name) for name in others(EMULATOR)), others(EMULATOR)


if __name__ == "__main__":
    tap.main(globals())
