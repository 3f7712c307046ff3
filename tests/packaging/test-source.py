#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sources as they are handed out: the version stands in one place, and what `meson dist` packs builds and works.

Usage: test-source.py SOURCE-FOLDER BUILD-FOLDER VERSION

It packs the last commit. Of its unit tests some run here, which read sources, data and documents; all of
them would take as long again as the suite.
"""
import os
import re
import shutil
import sys
import tempfile

from tap import Skip, main, missing, run, test

SOURCE, BUILD, VERSION = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
UNIT_TESTS = ("corpus", "merge", "placement", "rewrite", "tag")

# Where a version is history: the newest must come first, and be the project's.
HISTORIES = {"NEWS": r"vfio-profile (\S+)", "packaging/debian/changelog": r"vfio-profile \(([^-)]+)-"}

folder = tempfile.mkdtemp()
tree = f"{folder}/vfio-profile-{VERSION}"


def read(path):
    with open(path, encoding="utf-8", errors="ignore") as file:
        return file.read()


def list_sources():
    if missing("git") or not os.path.exists(f"{SOURCE}/.git"):
        raise Skip("needs git, and a clone")
    return run("git", "-C", SOURCE, "ls-files").splitlines()


@test("the version stands in meson.build, and in histories, whose newest entry is about it")
def version():
    assert f"version: '{VERSION}'," in read(f"{SOURCE}/meson.build")
    for path, pattern in HISTORIES.items():
        found = re.match(pattern, read(f"{SOURCE}/{path}"))
        assert found and found.group(1) == VERSION, f"{path} begins with another version"
    second = [path for path in list_sources()
              if path not in ("meson.build", *HISTORIES) and not path.startswith("tests/data/")
              and os.path.isfile(f"{SOURCE}/{path}")
              and re.search(rf"(?<![\w.]){re.escape(VERSION)}(?![\w.]*\d)", read(f"{SOURCE}/{path}"))]
    assert not second, f"it stands in {', '.join(second)}, too"


@test("meson dist packs all files of git's, with the version filled in")
def dist():
    listed = run("git", "-C", SOURCE, "ls-tree", "-r", "--name-only", "-z", "HEAD").split("\0") if list_sources() else []
    run("meson", "dist", "-C", BUILD, "--no-tests", "--formats", "gztar", "--allow-dirty")
    run("tar", "-C", folder, "-xzf", f"{BUILD}/meson-dist/vfio-profile-{VERSION}.tar.gz")
    lacking = [path for path in listed if path and not os.path.lexists(f"{tree}/{path}")]
    assert not lacking, f"it has not: {lacking}"
    assert not os.path.exists(f"{tree}/.git")
    assert re.search(rf"^Version: +{re.escape(VERSION)}$", read(f"{tree}/packaging/vfio-profile.spec"), re.M)
    assert f"pkgver={VERSION}\n" in read(f"{tree}/packaging/PKGBUILD")


@test("what it packs builds without warnings, and its unit tests pass")
def build():
    if not os.path.isdir(tree):
        raise Skip("it was not packed")
    made = f"{folder}/build"
    run("meson", "setup", made, tree, "--prefix=/usr", "-Dwerror=true", "-Dselinux=disabled", "-Dman=disabled")
    run("meson", "compile", "-C", made, "vfio-profile", "vfio-profiled", *(f"test-{name}" for name in UNIT_TESTS))
    run("meson", "test", "-C", made, "--no-rebuild", "--suite", "unit", *UNIT_TESTS)


try:
    main(needs=("meson", "gcc"))
finally:
    shutil.rmtree(folder)
