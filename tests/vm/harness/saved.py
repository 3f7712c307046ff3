# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines that are booted and have the package, kept beside their base to go on from there.

Each spec's has a folder, in one for what else went into it: the package, the harness,
QEMU and its accelerator. In it are the disk, over the base's, and the memory.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DISK, MEMORY = "root.qcow2", "memory"


class Saved:
    def __init__(self, base, package, qemu, accelerator):
        self._base = base
        self._folder = os.path.join(base, "machines-" + _key(package, qemu, accelerator))

    def find(self, spec):
        """The folder of its save, or None."""
        folder = self._path(spec)
        return folder if os.path.isdir(folder) else None

    def keep(self, machine):
        """Saves a machine that runs, and goes on running."""
        # The last one stays for a checkout that still needs it.
        others = [old for old in glob.glob(os.path.join(self._base, "machines-*")) if old != self._folder]
        for old in sorted(others, key=os.path.getmtime)[:-1]:
            shutil.rmtree(old, ignore_errors=True)
        os.makedirs(self._folder, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=self._base) as work:
            made = os.path.join(work, "made")
            os.mkdir(made)
            machine.snapshot(os.path.join(made, DISK), os.path.join(made, MEMORY))
            try:
                os.rename(made, self._path(machine.spec))
            except OSError:
                pass  # another lane was first

    def drop(self, spec):
        shutil.rmtree(self._path(spec), ignore_errors=True)

    def _path(self, spec):
        return os.path.join(self._folder, hashlib.sha256(repr(spec).encode()).hexdigest()[:16])


def _key(package, qemu, accelerator):
    version = subprocess.run([qemu, "--version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(version + " ".join(accelerator).encode())
    for path in [package, *sorted(glob.glob(os.path.join(HERE, "*")))]:
        if os.path.isfile(path):
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()[:16]
