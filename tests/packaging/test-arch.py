#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arch's PKGBUILD, as far as a machine without makepkg can tell: its functions are run, and what they install is looked at.

Usage: test-arch.py SOURCE-FOLDER BUILD-FOLDER VERSION
"""
import os
import shutil
import sys
import tempfile

import filelists
from tap import Skip, main, missing, run, test

SOURCE, BUILD, VERSION = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"

folder = tempfile.mkdtemp()
tree = f"{folder}/src/vfio-profile-{VERSION}"
staged = f"{folder}/pkg"


def shell(script):
    """In the folder of the sources, as makepkg does it: every error ends it."""
    return run("bash", "-e", "-c", f'PATH={HERE}:{PROGRAMS} srcdir={folder}/src pkgdir={staged}\n'
               f'cd "$srcdir"\n. {tree}/packaging/PKGBUILD\n{script}')


@test("the sources have it, with the project's version and the files that it names")
def unpack():
    os.mkdir(f"{folder}/src")
    run("tar", "-C", f"{folder}/src", "-xzf", run(f"{SOURCE}/packaging/source-tarball", folder).strip())
    assert shell('echo "$pkgname $pkgver $source"').strip() == f"vfio-profile {VERSION} vfio-profile-{VERSION}.tar.gz"
    shell(f'[ -e "{tree}/packaging/$install" ]')


@test("shellcheck finds nothing in it")
def lint():
    if missing("shellcheck"):
        raise Skip("needs shellcheck")
    run("shellcheck", *(f"{SOURCE}/packaging/{name}" for name in ("PKGBUILD", "vfio-profile.install")))


@test("pacman knows the functions for each moment of the package's life")
def moments():
    known = {"pre_install", "post_install", "pre_upgrade", "post_upgrade", "pre_remove", "post_remove"}
    found = set(run("bash", "-c", f". {SOURCE}/packaging/vfio-profile.install; compgen -A function").split())
    assert {name for name in found if not name.startswith("_")} <= known, found
    assert {"post_install", "post_upgrade", "pre_remove", "post_remove"} <= found, found


@test("it builds and installs")
def build():
    if missing("rst2man", "meson", "gcc"):
        raise Skip("needs rst2man, meson and gcc")
    shell("build\npackage")
    settings = shell('printf "%s\\n" "${backup[@]}"').split()
    below_etc = [path for path in filelists.of_folder(f"{staged}/etc/vfio-profile") if not path.endswith("/")]
    assert settings == [f"etc/vfio-profile{path}" for path in below_etc], settings


@test("it has what the Debian package has, but for what is named, with its reason, in filelists.py")
def compare():
    if not os.path.isdir(staged):
        raise Skip("it was not built")
    if missing("dpkg-deb", "dpkg-buildpackage", "dh"):
        raise Skip("needs the tools that build a Debian package")
    filelists.compare("arch", filelists.of_debian(SOURCE, BUILD), filelists.of_folder(staged))


try:
    main(needs=("bash",))
finally:
    shutil.rmtree(folder)
