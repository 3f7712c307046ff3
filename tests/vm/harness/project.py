# SPDX-License-Identifier: LGPL-2.1-or-later
"""The project's Debian package, and the disk that brings it into a machine.

The package is built once for its sources: a build folder keeps it, beside what the suite
`packaging` made there; without one the cache does.
"""
import glob
import os
import shutil
import subprocess
import tarfile

from .rootfs import CACHE, Missing

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
NAME = "vfio-profile.deb"
DEADLINE = 600


def find_package(build, progress):
    """The .deb's path. It is made first where it is not there, or is of other sources."""
    folder = os.path.join(build, "packages") if build else os.path.join(CACHE, "packages")
    _check_build_needs()
    os.makedirs(folder, exist_ok=True)
    with progress.step("build the package, unless it is there"):
        run(f"{SOURCE}/packaging/build-deb", "--if-changed", folder)
    return glob.glob(f"{folder}/vfio-profile_*.deb")[0]


def make_disk(path, package):
    """A tar file with the package, which the machine sees as its second disk."""
    with tarfile.open(path, "w") as archive:
        archive.add(package, NAME)


def run(*command, cwd=None):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, timeout=DEADLINE, cwd=cwd)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout[-4000:]}")
    return result.stdout


def _check_build_needs():
    for program in ("dpkg-buildpackage", "dpkg-checkbuilddeps"):
        if not shutil.which(program):
            raise Missing(f"needs {program}, which is not installed, or --package")
    result = subprocess.run(["dpkg-checkbuilddeps", f"{SOURCE}/packaging/debian/control"], capture_output=True,
                            text=True, cwd="/", env=dict(os.environ, LC_ALL="C"))
    if result.returncode != 0:
        raise Missing(f"needs what builds the package: {result.stderr.strip()}")
