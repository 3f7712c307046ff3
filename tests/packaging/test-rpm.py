#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The RPM spec, as far as a machine without Fedora can tell: it parses, is clean, and builds.

Usage: test-rpm.py SOURCE-FOLDER BUILD-FOLDER VERSION

fedora.macros stands in for Fedora's macro packages. What the scriptlets do is shown by
their text alone; nothing is installed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import filelists
from tap import Skip, main, missing, run, test

SOURCE, BUILD, VERSION = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
MACROS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fedora.macros")
MAKEFILE = "/usr/share/selinux/devel/Makefile"

folder = tempfile.mkdtemp()
tree = f"{folder}/vfio-profile-{VERSION}"
SPEC = f"{tree}/packaging/vfio-profile.spec"


def tool(name, *arguments, **more):
    return run(name, f"--load={MACROS}", "--define", f"_topdir {folder}", *arguments, **more)


def package(name):
    found = [os.path.join(where, file) for where, _, files in os.walk(f"{folder}/RPMS") for file in files
             if re.fullmatch(rf"{name}-{re.escape(VERSION)}-1\S*\.rpm", file)]
    if not found:
        raise Skip("the package was not built")
    return found[0]


def query(name, *arguments):
    # Not the machine's database, which rpm looks at for a file as well, and which may be read-only.
    return run("rpm", "--dbpath", f"{folder}/database", "--query", "--package", package(name), *arguments)


@test("the spec of a packed tree parses, with the project's version")
def parse():
    os.mkdir(f"{folder}/SOURCES")
    run("tar", "-C", folder, "-xzf", run(f"{SOURCE}/packaging/source-tarball", f"{folder}/SOURCES").strip())
    text = tool("rpmspec", "--parse", SPEC)
    assert re.search(rf"^Version:\s+{re.escape(VERSION)}$", text, re.M), "another version"
    left = re.findall(r"%\{?[a-z_]+.*", re.sub(r"%(package|description|prep|build|install|pre|post|preun|postun|posttrans"
                                              r"|files|changelog|license|doc|dir|config|ghost|verify|defattr|attr)\b", "", text))
    assert not left, f"macros that nobody defined: {left}"


@test("rpmlint finds no error in it")
def lint():
    if missing("rpmlint"):
        raise Skip("needs rpmlint")
    text = run("rpmlint", SPEC, ok=None)
    found = [line for line in text.splitlines() if ": E: " in line]
    assert not found and "0 errors" in text, text


@test("it builds")
def build():
    if not os.path.exists(MAKEFILE):
        raise Skip(f"needs {MAKEFILE}")
    if missing("rst2man", "meson", "gcc", "bzip2"):
        raise Skip("needs rst2man, meson, gcc and bzip2")
    if subprocess.run(["pkg-config", "--exists", "libvirt", "hwloc", "libpci", "mount", "json-c", "libselinux",
                       "libsystemd"],
                      check=False).returncode != 0:
        raise Skip("needs the development files that meson asks for")
    tool("rpmbuild", "-bb", "--nodeps", SPEC)


@test("the programs are in one package, the policy in another that fits any machine")
def contents():
    # Pages are compressed by a script that not every rpmbuild has.
    files = [path.removesuffix(".gz") for path in query("vfio-profile", "--list").split()]
    for path in ("/usr/bin/vfio-profile", "/usr/bin/vfio-profiled", "/usr/libexec/vfio-profile-emulator",
                 "/etc/libvirt/hooks/qemu.d/50-vfio-profile", "/usr/lib/systemd/system/vfio-profiled.service",
                 "/usr/lib/systemd/system/vfio-profiled.socket", "/usr/share/man/man8/vfio-profiled.8"):
        assert path in files, f"{path} is missing"
    assert not [path for path in files if "selinux" in path], "the policy is in the wrong package"
    policy = query("vfio-profile-selinux", "--list").split()
    assert "/usr/share/selinux/packages/vfioprofile.pp.bz2" in policy, policy
    assert query("vfio-profile-selinux", "--queryformat", "%{ARCH}") == "noarch"


@test("the hook is a program and no setting: an erase removes it, an upgrade replaces it")
def hook():
    assert query("vfio-profile", "--configfiles").split() == ["/etc/vfio-profile/vfio-profile.conf"]


@test("an erase puts the definitions back first, and ends where that is refused")
def erase():
    scripts = query("vfio-profile", "--scripts")
    preun = scripts.split("preuninstall scriptlet")[1].split("postuninstall scriptlet")[0]
    steps = [preun.index(text) for text in ("systemctl stop", "vfio-profile undo --all", "exit 1", "disable vfio-profiled")]
    assert steps == sorted(steps), preun
    # What a machine without systemd and without tagged definitions does.
    assert "vfio-profile undo" in preun.split("if grep", 1)[1]
    run("sh", "-n", "-c", preun.split("\n", 1)[1])


@test("the module is loaded for the policy in use, at a package's priority, and removed on erase only")
def module():
    scripts = query("vfio-profile-selinux", "--scripts")
    assert "install targeted 200 /usr/share/selinux/packages/vfioprofile.pp.bz2" in scripts, scripts
    assert re.search(r'if \[ \$1 -eq 0 \]; then\s+echo uninstall targeted 200 vfioprofile', scripts), scripts


@test("together they have what the Debian package has, but for what is named, with its reason, in filelists.py")
def compare():
    if missing("dpkg-deb", "dpkg-buildpackage", "dh"):
        raise Skip("needs the tools that build a Debian package")
    found = {}
    for name in ("vfio-profile", "vfio-profile-selinux"):
        for line in query(name, "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\n]").splitlines():
            mode, path = line.split(" ", 1)
            found[path + ("/" if mode[0] == "d" else "")] = mode
    filelists.compare("rpm", filelists.of_debian(SOURCE, BUILD), found)


@test("libvirt is told of the hook, and the daemon is restarted, whichever libvirt it is")
def reload():
    scripts = query("vfio-profile", "--scripts")
    post = scripts.split("postinstall scriptlet")[1].split("preuninstall scriptlet")[0]
    assert "libvirtd.service" in post and "virtqemud.service" in post and "systemctl reload" in post, post
    run("sh", "-n", "-c", post.split("\n", 1)[1])


try:
    main(needs=("rpmspec", "rpmbuild", "rpm"))
finally:
    shutil.rmtree(folder)
