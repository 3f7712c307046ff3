#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The AppArmor profile, and our lines in libvirt's, in a copy of /etc/apparmor.d."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PROFILES = pathlib.Path("/etc/apparmor.d")
GUEST = "abstractions/libvirt-qemu"
LOCAL_GUEST = "local/abstractions/libvirt-qemu"
EXTRA_GUEST = "abstractions/libvirt-qemu.d"
LOCAL_LIBVIRT = "local/usr.sbin.libvirtd"
WRAPPERS = "/lib/vfio-profile/emulators/* rix,"
_tests = []


def test(description):
    def add(function):
        _tests.append((description, function))
        return function

    return add


def parse(base, profile, *options):
    """What apparmor_parser makes of a profile, without a kernel; its includes come from `base`."""
    done = subprocess.run(["apparmor_parser", "-QTK", *options, "-b", str(base), str(profile)], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, f"{profile}: {done.stderr}"
    return done.stdout


class Tree:
    """A root folder with the machine's profiles and our files, as after an installation."""

    def __init__(self, folder, options):
        self.root = pathlib.Path(folder)
        self.etc = self.root / "etc/apparmor.d"
        self.options = options
        shutil.copytree(PROFILES, self.etc, symlinks=True)
        data = pathlib.Path(f"{self.root}{options.data}")
        data.mkdir(parents=True)
        for name in ("guest", "libvirt"):
            shutil.copy(f"{options.built}/{name}", data)

    def run(self, action):
        done = subprocess.run(["sh", f"{self.options.built}/vfio-profile-apparmor", "--root", str(self.root), action],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout == "" and done.stderr == "", f"{action}: {done}"

    def files(self):
        """And folders."""
        return {str(path.relative_to(self.etc)): (path.is_file() and path.read_bytes(), path.stat().st_mode)
                for path in self.etc.rglob("*") if not path.is_symlink()}

    def has_folder(self):
        """For others' lines: libvirt has that since 9.6."""
        return f"<{EXTRA_GUEST}>" in (self.etc / GUEST).read_text(encoding="utf-8")

    def make_newer(self):
        if not self.has_folder():
            with open(self.etc / GUEST, "a", encoding="utf-8") as file:
                file.write(f"\n  include if exists <{EXTRA_GUEST}>\n")

    def write_guest(self):
        """A guest's profile, as virt-aa-helper makes it from its template."""
        text = (self.etc / "libvirt/TEMPLATE.qemu").read_text(encoding="utf-8")
        path = self.etc / "libvirt/libvirt-guest"
        path.write_text(text.replace("LIBVIRT_TEMPLATE", "libvirt-c7a5fdbd-edaf-9455-926a-d65c16db1809"),
                        encoding="utf-8")
        return path


@test("the daemon's profile compiles")
def profile_compiles(tree):
    profile = f"{tree.options.built}/{tree.options.profile}"
    assert parse(tree.etc, profile, "-N").split() == ["vfio-profiled"]


@test("the daemon's profile lets it run nothing")
def profile_runs_nothing(tree):
    profile = pathlib.Path(f"{tree.options.built}/{tree.options.profile}")
    for line in profile.read_text(encoding="utf-8").splitlines():
        words = line.strip().rstrip(",").split()
        if len(words) == 2 and words[0][0] in "/@":
            assert not set(words[1]) & set("xmPpCcUu"), line


@test("without our lines libvirt's profiles know no wrapper")
def control(tree):
    for profile in (tree.etc / "usr.sbin.libvirtd", tree.write_guest()):
        assert WRAPPERS not in parse(tree.etc, profile, "-p")


@test("with them both know the wrappers, and both compile")
def lines_are_read(tree):
    tree.run("add")
    for profile in (tree.etc / "usr.sbin.libvirtd", tree.write_guest()):
        assert WRAPPERS in parse(tree.etc, profile, "-p"), profile
        parse(tree.etc, profile)


@test("libvirt's hook has a profile of its own")
def hook_profile(tree):
    tree.run("add")
    assert "libvirtd//vfio_profile_hook" in parse(tree.etc, tree.etc / "usr.sbin.libvirtd", "-N").split()


@test("adding twice is adding once, and removing leaves what was there")
def idempotent(tree):
    before = tree.files()
    tree.run("remove")
    assert tree.files() == before
    tree.run("add")
    once = tree.files()
    tree.run("add")
    assert tree.files() == once
    changed = {name for name, content in once.items() if content[0] and before.get(name) != content}
    assert changed == {f"{EXTRA_GUEST}/vfio-profile" if tree.has_folder() else LOCAL_GUEST, LOCAL_LIBVIRT}, changed
    tree.run("remove")
    tree.run("remove")
    assert tree.files() == before


@test("an administrator's lines stay, and an older block is replaced")
def keeps_others(tree):
    path = tree.etc / LOCAL_LIBVIRT
    path.write_text("/srv/images/** rw,\n", encoding="utf-8")
    tree.run("add")
    block = path.read_text(encoding="utf-8")
    path.write_text(block.replace("emulators/* rix", "old/* rix") + "/srv/isos/** r,\n", encoding="utf-8")
    tree.run("add")
    text = path.read_text(encoding="utf-8")
    assert "old/*" not in text and text.count(WRAPPERS) == 1, text
    tree.run("remove")
    assert path.read_text(encoding="utf-8") == "/srv/images/** rw,\n/srv/isos/** r,\n"


@test("where libvirt has a folder for others' lines, they go there")
def newer_libvirt(tree):
    tree.run("add")
    older = tree.etc / LOCAL_GUEST
    tree.make_newer()
    tree.run("add")
    assert WRAPPERS in (tree.etc / EXTRA_GUEST / "vfio-profile").read_text(encoding="utf-8")
    assert not older.exists() or older.read_text(encoding="utf-8") == ""
    assert parse(tree.etc, tree.write_guest(), "-p").count(WRAPPERS) == 1
    tree.run("remove")
    assert not (tree.etc / EXTRA_GUEST / "vfio-profile").exists()


@test("a file or folder that was there stays, also an empty one, and one that was not does not")
def made_things(tree):
    libvirt = tree.etc / "usr.sbin.libvirtd"
    text = libvirt.read_text(encoding="utf-8").replace(f"#include <{LOCAL_LIBVIRT}>", f"include if exists <{LOCAL_LIBVIRT}>")
    libvirt.write_text(text, encoding="utf-8")
    tree.make_newer()
    shutil.rmtree(tree.etc / EXTRA_GUEST, ignore_errors=True)
    (tree.etc / LOCAL_LIBVIRT).write_text("", encoding="utf-8")
    for change in (lambda: None, (tree.etc / LOCAL_LIBVIRT).unlink, (tree.etc / EXTRA_GUEST).mkdir,
                   (tree.etc / EXTRA_GUEST / "other").touch):
        change()
        before = tree.files()
        for action in ("add", "add", "remove"):
            tree.run(action)
        assert tree.files() == before, set(before.items()) ^ set(tree.files().items())


@test("a modular libvirt's virtqemud gets them too")
def modular_libvirt(tree):
    text = (tree.etc / "usr.sbin.libvirtd").read_text(encoding="utf-8")
    text = text.replace("profile libvirtd /usr/sbin/libvirtd", "profile virtqemud /usr/sbin/virtqemud")
    text = text.replace("#include <local/usr.sbin.libvirtd>", "include if exists <local/usr.sbin.virtqemud>")
    (tree.etc / "usr.sbin.virtqemud").write_text(text, encoding="utf-8")
    tree.run("add")
    assert "virtqemud//vfio_profile_hook" in parse(tree.etc, tree.etc / "usr.sbin.virtqemud", "-N").split()
    tree.run("remove")
    assert not (tree.etc / "local/usr.sbin.virtqemud").exists(), "an optional file that is empty stayed"


@test("where libvirt has no profiles nothing is made")
def no_libvirt(tree):
    for name in ("usr.sbin.libvirtd", "abstractions/libvirt-qemu"):
        (tree.etc / name).unlink()
    before = tree.files()
    tree.run("add")
    assert tree.files() == before


def find_missing():
    if shutil.which("apparmor_parser") is None:
        return "there is no apparmor_parser (package apparmor)"
    for name in ("usr.sbin.libvirtd", GUEST, LOCAL_LIBVIRT):
        if not (PROFILES / name).exists():
            return f"libvirt's AppArmor profiles are not installed: no {PROFILES / name}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--built", required=True, help="the folder with the generated files")
    parser.add_argument("--data", required=True, help="where guest and libvirt are installed")
    parser.add_argument("--profile", required=True, help="the name of the daemon's profile there")
    options = parser.parse_args()
    reason = find_missing()
    if reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    failures = 0
    print(f"1..{len(_tests)}")
    for number, (description, function) in enumerate(_tests, 1):
        with tempfile.TemporaryDirectory(prefix="vp-apparmor-") as folder:
            try:
                function(Tree(os.path.join(folder, "root"), options))
            except AssertionError as error:
                failures += 1
                print(f"not ok {number} - {description}")
                print("\n".join(f"# {line}" for line in (str(error) or "it is not so").splitlines()))
            else:
                print(f"ok {number} - {description}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
