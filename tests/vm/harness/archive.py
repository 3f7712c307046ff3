# SPDX-License-Identifier: LGPL-2.1-or-later
"""Root file systems of Debian's releases, from the archive that the host's own apt reaches."""
import functools
import os
import re
import shutil
import subprocess

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vfio-profile-tests")
DEADLINE = 1800


class Missing(Exception):
    """A prerequisite that the host lacks; the text says which."""


class Unusable(Exception):
    """The archive, or the release that it has today, cannot be installed from; the text is apt's reason."""


@functools.lru_cache
def host_release():
    with open("/etc/os-release") as file:
        found = re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.M)
    if not found:
        raise Missing("needs a host whose /etc/os-release names a release of Debian")
    return found[1]


@functools.lru_cache
def sources(release):
    """The host's own sources as apt's lines, for that release. Third parties' have none for others."""
    host = host_release()
    printed = _ask("apt-get", "update", "--print-uris")
    found = sorted(set(re.findall(r"^'(\S+?)/*/dists/(%s(?:-[\w-]+)?)/InRelease'" % re.escape(host), printed, re.M)))
    if not found:
        raise Missing(f"needs a host whose apt has sources of {host}, the release that it is of")
    lines = []
    for uri, suite in found:
        # It gets every change by itself.
        if release != "sid" or suite == host:
            lines.append(f"deb {uri} {release}{suite[len(host):]} main")
    return tuple(lines)


def apt_options():
    """How the host's apt reaches its sources (a proxy, an archive of old dates), for mmdebstrap's."""
    return [f"--aptopt={line.rstrip(';')}" for line in _ask("apt-config", "dump", "Acquire").splitlines()
            if re.match(r'Acquire::[\w:-]*\w "..*";$', line)]


def make_root(release, tree, *options):
    """Installs the release into the folder `tree`. `options` are mmdebstrap's: packages, hooks."""
    if os.geteuid() != 0:
        raise Missing("needs root to make its root file system, which is not in the cache yet")
    if not shutil.which("mmdebstrap"):
        raise Missing("needs mmdebstrap, which is not installed")
    result = _run(["mmdebstrap", "--mode=root", "--variant=minbase", "--skip=cleanup/tmp", *apt_options(), *options,
                   release, tree, *sources(release)])
    if result.returncode != 0:
        raise Unusable(f"mmdebstrap ended with {result.returncode}:\n{result.stdout[-4000:]}")


def run_logged(command):
    result = _run(command)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {result.returncode}:\n{result.stdout[-4000:]}")


def _ask(*command):
    if not shutil.which(command[0]):
        raise Missing(f"needs {command[0]}, that is, a Debian")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _run(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=DEADLINE)
