# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemon for QEMU alone, which Debian has the source of, but no package.

The four files that are its own are compiled from the source package of the base's
release, and linked with Debian's libvirt; its driver is Debian's as well. Kept in the
cache, with its units.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from . import archive
from .project import run
from .rootfs import CACHE, Missing

UNITS = ("virtqemud.service", "virtqemud.socket", "virtqemud-ro.socket", "virtqemud-admin.socket")
PROGRAMS = ("apt-get", "dpkg-source", "meson", "ninja", "gcc", "xsltproc", "xmllint", "rpcgen", "strip")
LIBRARIES = ("libvirt", "glib-2.0", "gobject-2.0", "gio-2.0", "gnutls", "libxml-2.0", "libtirpc", "yajl")
SETUP = ("--prefix=/usr", "--libdir=lib/x86_64-linux-gnu", "--sysconfdir=/etc", "--localstatedir=/var",
         "-Drunstatedir=/run", "-Dsystem=true", "-Dqemu_user=libvirt-qemu", "-Dqemu_group=libvirt-qemu",
         "-Dauto_features=disabled", "-Ddriver_remote=enabled", "-Ddriver_libvirtd=enabled",
         "-Ddriver_qemu=enabled", "-Dyajl=enabled")


def find_virtqemud():
    """The folder with the program and its units; made first where it is not there."""
    check_needs()
    folder = os.path.join(CACHE, "virtqemud-" + _key())
    if not os.path.isdir(folder):
        for old in glob.glob(os.path.join(CACHE, "virtqemud-*")):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix="making-", dir=CACHE) as work:
            _build(_source(work), os.path.join(work, "build"))
            os.mkdir(os.path.join(work, "made"))
            for name in ("virtqemud", *UNITS):
                shutil.copy(os.path.join(work, "build/src", name), os.path.join(work, "made"))
            os.rename(os.path.join(work, "made"), folder)
    return folder


def check_needs():
    """Missing, with what it is."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    absent += [name for name in LIBRARIES if subprocess.run(["pkg-config", "--exists", name], check=False).returncode]
    if absent:
        raise Missing(f"Debian has no virtqemud, and to make one needs {', '.join(absent)}")


def _key():
    digest = hashlib.sha256(run("dpkg-query", "-W", "-f", "${Version}", "libvirt0").encode())
    with open(__file__, "rb") as file:
        digest.update(file.read())
    return digest.hexdigest()[:16]


def _source(work):
    """libvirt's source tree, from where the host's packages come from."""
    sources = os.path.join(work, "sources.list")
    with open(sources, "w", encoding="utf-8") as file:
        file.writelines(f"deb-src{line[3:]}\n" for line in archive.sources(archive.host_release()))
    for name in ("lists", "lists/partial"):
        os.mkdir(os.path.join(work, name))
    options = ["-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Etc::SourceList={sources}", "-o",
               "Dir::Etc::SourceParts=/dev/null", "-o", "APT::Sandbox::User=root"]
    try:
        run("apt-get", *options, "update")
        run("apt-get", *options, "source", "--download-only", "libvirt", cwd=work)
    except RuntimeError as error:
        raise Missing(f"needs libvirt's source package: {str(error).splitlines()[-1]}") from error
    tree = os.path.join(work, "libvirt")
    run("dpkg-source", "--no-check", "-x", *glob.glob(f"{work}/libvirt_*.dsc"), tree)
    return tree


def _build(tree, build):
    run("meson", "setup", build, tree, *SETUP)
    targets = re.findall(r"^(\S+): (\S+)$", run("ninja", "-C", build, "-t", "targets", "all"), re.M)
    # Meson names no headers for single objects: so first all that is generated for any of them.
    wanted = re.compile(r"src/(remote|rpc|admin|access|logging|locking)/.*\.[ch]$")
    generated = [target for target, rule in targets if rule == "CUSTOM_COMMAND" and wanted.match(target)]
    objects = [target for target, _ in targets if target.startswith("src/virtqemud.p/")]
    admin = "src/admin/libvirt_admin_driver.a"
    run("ninja", "-C", build, *generated)
    run("ninja", "-C", build, *objects, admin)
    library = run("pkg-config", "--variable=libdir", "libvirt").strip()
    libvirt = [f"{library}/{name}.so.0" for name in ("libvirt", "libvirt-qemu", "libvirt-lxc")]
    flags = run("pkg-config", "--libs", *LIBRARIES[1:-1]).split()
    run("gcc", "-pie", "-s", "-o", "src/virtqemud", *objects, admin, *libvirt, *flags, cwd=build)
