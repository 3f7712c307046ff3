# SPDX-License-Identifier: LGPL-2.1-or-later
"""The base root file system: Debian as a user has it, without the project.

Made by mmdebstrap (see archive.py), kept as a disk image, a kernel
and an initrd in a cache folder that may vanish at any time. Its key is a hash of
all that goes in, so nothing here ever looks at whether the cache is fresh.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

from . import archive
from .archive import Missing, run_logged

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "base.sh")
PACKAGES = os.path.join(HERE, "base.packages")
CACHE = os.path.join(archive.CACHE, "vm")
SLACK_MIB = 1024


def find_base(progress):
    """The folder with `root.img`, `vmlinuz` and `initrd.img`; made first where it is not there."""
    folder = os.path.join(CACHE, "base-" + _key())
    if not os.path.isdir(folder):
        with progress.step("make the base root file system (once)"):
            _build(folder)
    return folder


def _packages():
    with open(PACKAGES) as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def _key():
    digest = hashlib.sha256("\n".join(archive.sources(archive.host_release())).encode())
    for path in [SCRIPT, PACKAGES, __file__, archive.__file__]:
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _build(folder):
    for program in ("mkfs.ext4", "setfiles"):
        if not shutil.which(program):
            raise Missing(f"needs {program}, which is not installed")
    os.makedirs(CACHE, exist_ok=True)
    # The last one stays for a checkout that still needs it.
    for old in sorted(glob.glob(os.path.join(CACHE, "base-*")), key=os.path.getmtime)[:-1]:
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix="making-", dir=CACHE) as work:
        tree = os.path.join(work, "tree")
        made = os.path.join(work, "made")
        os.mkdir(made)
        # Its programs are the host's, too: the package in it is built there.
        archive.make_root(archive.host_release(), tree, "--include=" + ",".join(_packages()),
                          f'--essential-hook={SCRIPT} essential "$1"', f'--customize-hook={SCRIPT} customize "$1"')
        run_logged([SCRIPT, "finish", tree])
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(glob.glob(f"{tree}/boot/{name}-*")[0], os.path.join(made, name))
        _make_image(tree, os.path.join(made, "root.img"))
        os.rename(made, folder)


def _make_image(tree, image):
    used = int(subprocess.run(["du", "-sm", tree], capture_output=True, text=True, check=True).stdout.split()[0])
    with open(image, "wb") as file:
        file.truncate((used + SLACK_MIB) << 20)
    run_logged(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", tree, image])
