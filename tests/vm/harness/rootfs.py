# SPDX-License-Identifier: LGPL-2.1-or-later
"""The base root file system: Debian as a user has it, without the project.

Made by mmdebstrap from the host's own apt sources, kept as a disk image, a kernel
and an initrd in a cache folder that may vanish at any time. Its key is a hash of
all that goes in, so nothing here ever looks at whether the cache is fresh.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "base.sh")
PACKAGES = os.path.join(HERE, "base.packages")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vfio-profile-tests", "vm")
DEADLINE = 900
SLACK_MIB = 1024


class Missing(Exception):
    """A prerequisite that the host lacks; the text says which."""


def find_base(progress):
    """The folder with `root.img`, `vmlinuz` and `initrd.img`; made first where it is not there."""
    folder = os.path.join(CACHE, "base-" + _key())
    if not os.path.isdir(folder):
        with progress.step("make the base root file system (once)"):
            _build(folder)
    return folder


def _suite():
    with open("/etc/os-release") as file:
        found = re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.M)
    if not found:
        raise Missing("needs a host whose /etc/os-release names a release: its programs run in the machine")
    return found[1]


def _sources():
    found = ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*.list"))
    found += sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))
    return [path for path in found if os.path.exists(path) and os.path.getsize(path)]


def _packages():
    with open(PACKAGES) as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def _key():
    digest = hashlib.sha256(_suite().encode())
    for path in [SCRIPT, PACKAGES, __file__] + _sources():
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _apt_options():
    """How the host's apt reaches its sources (a proxy, an archive of old dates), for mmdebstrap's."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
    return [f"--aptopt={line.rstrip(';')}" for line in dump.splitlines()
            if re.match(r'Acquire::[\w:-]*\w "..*";$', line)]


def _build(folder):
    if os.geteuid() != 0:
        raise Missing("needs root to make its root file system, which is not in the cache yet")
    for program in ("mmdebstrap", "mkfs.ext4", "setfiles", "apt-config"):
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
        _run_logged(["mmdebstrap", "--mode=root", "--variant=minbase", "--skip=cleanup/tmp",
                     "--include=" + ",".join(_packages()), *_apt_options(),
                     f'--essential-hook={SCRIPT} essential "$1"', f'--customize-hook={SCRIPT} customize "$1"',
                     _suite(), tree, *_sources()])
        _run_logged([SCRIPT, "finish", tree])
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(glob.glob(f"{tree}/boot/{name}-*")[0], os.path.join(made, name))
        _make_image(tree, os.path.join(made, "root.img"))
        os.rename(made, folder)


def _make_image(tree, image):
    used = int(subprocess.run(["du", "-sm", tree], capture_output=True, text=True, check=True).stdout.split()[0])
    with open(image, "wb") as file:
        file.truncate((used + SLACK_MIB) << 20)
    _run_logged(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", tree, image])


def _run_logged(command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, timeout=DEADLINE)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {result.returncode}:\n{result.stdout[-4000:]}")
