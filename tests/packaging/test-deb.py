#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian package: built from a copy of the tree, judged by lintian, and lived through.

Usage: test-deb.py SOURCE-FOLDER BUILD-FOLDER VERSION

BUILD-FOLDER is what the sandbox is made from (see tests/integration/sandbox). The package
is built into its folder packages, where the suite `vm` takes it from.
"""
import os
import re
import subprocess
import sys

from tap import Skip, main, note, run, test

SOURCE, BUILD, VERSION = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "vfio-profile"

folder = os.path.join(BUILD, "packages")


def built(pattern):
    """The one file of the build whose name is like that."""
    found = [name for name in os.listdir(folder) if re.fullmatch(pattern, name)] if os.path.isdir(folder) else []
    if not found:
        raise Skip("the package was not built")
    return os.path.join(folder, found[0])


def deb():
    return built(rf"{PACKAGE}_.*\.deb")


def check_needs():
    control = os.path.join(SOURCE, "packaging/debian/control")
    result = subprocess.run(["dpkg-checkbuilddeps", control], capture_output=True, text=True,
                            env=dict(os.environ, LC_ALL="C"), cwd=BUILD)
    if result.returncode != 0:
        raise Skip(result.stderr.strip().replace("dpkg-checkbuilddeps: error: ", "") or "build dependencies")


@test("it builds, and the tree is as it was")
def build():
    check_needs()
    run(f"{SOURCE}/packaging/build-deb", "--if-changed", folder)
    assert not os.path.exists(f"{SOURCE}/debian"), "there is a folder debian in the tree"


@test("its version is the project's")
def version():
    found = run("dpkg-deb", "--field", deb(), "Version").strip()
    assert found.rsplit("-", 1)[0] == VERSION, f"{found} is not {VERSION}"


@test("lintian finds no error and no warning")
def lintian():
    text = run("lintian", "--allow-root", "--tag-display-limit", "0", built(r".*\.changes"), ok=None)
    found = [line for line in text.splitlines() if re.match(r"[EW]: ", line)]
    assert not found, "\n".join(found)


@test("it has all parts, and below /etc nothing but AppArmor's profile, the limits and empty folders")
def contents():
    paths = [line.split(None, 5)[5] for line in run("dpkg-deb", "--contents", deb()).splitlines()]
    # Below /usr since Debian 13.
    units = "usr/lib/systemd/system" if "./usr/lib/systemd/system/" in paths else "lib/systemd/system"
    for part in ("usr/bin/vfio-profile", "usr/sbin/vfio-profiled", "usr/libexec/vfio-profile-emulator",
                 "usr/lib/vfio-profile/50-vfio-profile", "usr/libexec/vfio-profile-apparmor",
                 f"{units}/vfio-profiled.service", f"{units}/vfio-profiled.socket",
                 "usr/share/vfio-profile/profiles.d/gaming.conf", "usr/share/man/man1/vfio-profile.1.gz",
                 "usr/share/man/man8/vfioprofile_selinux.8.gz", "usr/share/selinux/packages/vfioprofile.pp.bz2",
                 "usr/share/bash-completion/completions/vfio-profile"):
        assert f"./{part}" in paths, f"{part} is missing"
    assert sorted(path for path in paths if path.startswith("./etc/") and not path.endswith("/")) == [
        "./etc/apparmor.d/usr.sbin.vfio-profiled", "./etc/vfio-profile/vfio-profile.conf"]
    assert not [path for path in paths if path.startswith(("./var/", "./run/"))], "made at run time, not shipped"


@test("installed, used, upgraded, removed and purged beside a libvirtd")
def life():
    if not os.path.islink("/lib"):
        raise Skip("/lib is a folder of its own here, and the sandbox has a private /usr only")
    result = subprocess.run(
        [f"{SOURCE}/tests/integration/sandbox", "--build", BUILD, "--", "/usr/bin/python3", f"{HERE}/life.py", deb()],
        capture_output=True, text=True)
    note(result.stdout)
    if result.returncode == 77:
        raise Skip(result.stderr.strip().splitlines()[-1].replace("sandbox: ", ""))
    assert result.returncode == 0, result.stderr


main(needs=("dpkg-buildpackage", "dpkg-checkbuilddeps", "dh", "lintian"))
