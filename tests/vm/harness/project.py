# SPDX-License-Identifier: LGPL-2.1-or-later
"""The project, installed as a user installs it, on a disk of its own.

`meson install` with DESTDIR, packed into a tar file that the machine sees as its
second disk and unpacks over its root: a second, where a new root image costs ten.
"""
import os
import subprocess
import tarfile
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# The README's own, without the build folder's name.
SETUP = ["--prefix=/usr", "--buildtype=release"]
DEADLINE = 600


def make_disk(path, build, work, progress):
    """Writes the tar file. Without a build folder one is made in the folder `work`."""
    if build is None:
        build = os.path.join(work, "build")
        with progress.step("build the project"):
            _run(["meson", "setup", build, SOURCE, *SETUP, "-Dtests=disabled"])
            _run(["meson", "compile", "-C", build])
    with progress.step("install the project"):
        with tempfile.TemporaryDirectory(dir=work) as tree:
            _run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", tree])
            with tarfile.open(path, "w") as archive:
                archive.add(tree, ".", filter=_as_root)


def _as_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    if entry.name == ".":
        entry.mode = 0o755
    return entry


def _run(command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, timeout=DEADLINE)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout[-4000:]}")
