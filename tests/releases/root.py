# SPDX-License-Identifier: LGPL-2.1-or-later
"""The root file system of a release, with what building and testing needs and nothing of the project.

Kept in a cache folder that may vanish at any time, and never written to once it is there: a
run has it read-only. Its key is a hash of all that goes in; for a release that changes every
day the date is part of that.
"""
import datetime
import glob
import hashlib
import itertools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "vm"))

from harness import archive  # noqa: E402  pylint: disable=wrong-import-position

CACHE = os.path.join(archive.CACHE, "releases")
# Half of the files, and each would be waited for.
QUICK = ("--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
         "--dpkgopt=path-exclude=/usr/share/locale/*")
INSTALL = os.path.join(SOURCE, "packaging", "install-packages")
# Where the packages came from is the host's affair, and what is above the root's making alone.
HOSTS = ("etc/apt/sources.list", "etc/apt/sources.list.d/*", "etc/apt/apt.conf.d/99mmdebstrap",
         "etc/dpkg/dpkg.cfg.d/99mmdebstrap")
NAMES = {"12": "bookworm", "13": "trixie"}


def find_root(release, progress):
    """The folder of the release's root; made first where it is not there."""
    packages = _packages()
    folder = os.path.join(CACHE, f"{release}-{_key(release, packages)}")
    if not os.path.isdir(folder):
        with progress.step(f"{release}: make the root file system (once)"):
            _make(release, packages, folder)
    return folder


def _packages():
    return subprocess.run([f"{SOURCE}/tests/run.sh", "--packages"], capture_output=True, text=True,
                          check=True).stdout.split()


def _key(release, packages):
    text = "\n".join([*archive.sources(release), *packages])
    if release == "sid":
        text += str(datetime.date.today())
    digest = hashlib.sha256(text.encode())
    for path in (__file__, archive.__file__, INSTALL):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _make(release, packages, folder):
    os.makedirs(CACHE, exist_ok=True)
    # The last one stays for a checkout that still needs it.
    for old in sorted(glob.glob(os.path.join(CACHE, f"{release}-*")), key=os.path.getmtime)[:-1]:
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix="making-", dir=CACHE) as work:
        tree = os.path.join(work, "tree")
        install = f'set -e; cp {INSTALL} "$1/install"; chroot "$1" /install {shlex.join(packages)}; rm "$1/install"'
        archive.make_root(release, tree, *QUICK, f"--customize-hook={install}",
                          '--customize-hook=chroot "$1" systemd-machine-id-setup')
        for path in itertools.chain.from_iterable(glob.glob(f"{tree}/{pattern}") for pattern in HOSTS):
            os.unlink(path)
        os.makedirs(f"{tree}/var/cache/vfio-profile-tests")  # for enter
        os.chmod(tree, 0o755)
        os.rename(tree, folder)
