# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of the Debian package beside a libvirtd: installed, in use, upgraded, removed, purged.

Runs in the sandbox of the integration suite: dpkg and its maintainer scripts are the real
ones, and their files are the sandbox's. There is no systemd in it; what the scripts do
where it runs belongs to the suite with a whole machine.
"""
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from lib import (LIMITS, QEMU, WRAPPERS, Qemu, check, check_equal, check_same, connect, daemon, definition,  # noqa: E402
                 domain_xml, main, note, remove, run, stop, test, wait_ready)

DEB = sys.argv.pop(1)
PACKAGE = "vfio-profile"
HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
SHIPPED_HOOK = "/usr/lib/vfio-profile/50-vfio-profile"
CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><alias name='ua-card-x-vga'/>
<source><address domain='0x0' bus='0x65' slot='0x0' function='0x0'/></source></hostdev>"""

connection = connect()
domains, before, files = {}, {}, []


def dpkg(*arguments, ok=True):
    # Triggers would work on the caches of the machine, and so would the log.
    result = run("dpkg", "--no-triggers", "--log=/dev/null", *arguments, ok=ok)
    note((result.stdout + result.stderr).strip())
    return result


def status():
    return run("dpkg-query", "-W", "-f", "${db:Status-Status}", PACKAGE, ok=None).stdout


def emulator(domain):
    return ET.fromstring(definition(domain)).findtext("devices/emulator")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def leave_kernel_alone():
    """The sandbox has its own files, and the machine's kernel: no policy is to be loaded there."""
    for path in ("/sys/kernel/security", "/sys/fs/selinux"):
        run("umount", "--recursive", "--lazy", path, ok=None)


@test("installed: libvirt's folder has a hook of its own, and dpkg takes for settings what are some")
def install():
    leave_kernel_alone()
    daemon.stop()
    for path in (HOOK, LIMITS):  # the build's
        os.unlink(path)
    dpkg("--install", DEB)
    check_equal(status(), "installed", "status")
    check(os.path.isfile(HOOK) and not os.path.islink(HOOK), "the hook is no file of its own")
    check_equal(os.stat(HOOK).st_mode & 0o7777, 0o755, "its mode")
    check(read(HOOK) == read(SHIPPED_HOOK), "it is another one than that in the package")
    check_equal(os.listdir(os.path.dirname(HOOK)), [os.path.basename(HOOK)], "files in libvirt's folder")
    conffiles = run("dpkg-query", "-W", "-f", "${Conffiles}", PACKAGE).stdout.split("\n")
    check_equal(sorted(line.split()[0] for line in conffiles if line.strip()),
                ["/etc/apparmor.d/usr.sbin.vfio-profiled", LIMITS], "settings")
    files.extend(run("dpkg-query", "-L", PACKAGE).stdout.split())


@test("in use: the package's daemon prepares, its hook lets a guest start")
def in_use():
    for name, more in (("plain", {}), ("card", {"machine": "pc", "devices": CARD})):
        profiles = "pinned vga" if name == "card" else "pinned"
        domains[name] = connection.defineXML(domain_xml(name, profiles, **more))
        before[name] = definition(domains[name])
    daemon.start()
    for name in domains:
        wait_ready(name)
    check(emulator(domains["card"]).startswith(WRAPPERS), "there is no wrapper")
    domains["plain"].create()
    check(Qemu("plain").hugetlb_kib() > 0, "the guest has no hugepages")


@test("not removed while the daemon runs or a guest does; all stays as it was")
def refused():
    dpkg("--remove", PACKAGE, ok=False)
    daemon.stop()
    # Now: the daemon may have moved the other one out of the running one's way.
    kept = {name: definition(domain) for name, domain in domains.items()}
    result = dpkg("--remove", PACKAGE, ok=False)
    check("'plain'" in result.stderr and "shut them down" in result.stderr, "no guest is named")
    check_equal(status(), "installed", "status")
    check(os.access(HOOK, os.X_OK), "the hook is gone")
    for name, domain in domains.items():
        check_same(definition(domain), kept[name], name)
    daemon.start()


@test("upgraded while a guest runs: it runs on, and wrappers and definitions stay")
def upgrade():
    wait_ready("card")
    kept = {name: definition(domain) for name, domain in domains.items()}
    wrapper, pid = os.stat(emulator(domains["card"])), Qemu("plain").pid
    dpkg("--install", DEB)
    daemon.restart()
    check_equal(Qemu("plain").pid, pid, "the guest's process")
    check_equal(os.stat(emulator(domains["card"])).st_ino, wrapper.st_ino, "the wrapper's inode")
    check(os.access(HOOK, os.X_OK), "the hook is gone")
    for name, domain in domains.items():
        wait_ready(name)
        check_same(definition(domain), kept[name], name)
    stop(domains["plain"])


@test("removed: every definition is as it was, and libvirt starts guests without us")
def removed():
    daemon.stop()
    dpkg("--remove", PACKAGE)
    check(not os.path.lexists(HOOK), "the hook is left, and would refuse each start")
    for name, domain in domains.items():
        check_same(definition(domain), before[name], name)
    check_equal(emulator(domains["card"]), QEMU, "the emulator")
    domains["plain"].create()
    stop(domains["plain"])


@test("installed again: the tags are there, and count")
def again():
    dpkg("--install", DEB)
    daemon.start()
    for name in domains:
        wait_ready(name)
    daemon.stop()


@test("purged: nothing is left")
def purged():
    # What dpkg does not know of: the build that this sandbox was made with has the same paths.
    dpkg("--purge", PACKAGE)
    for domain in domains.values():
        remove(domain)
    left = [path for path in files if "vfio" in path and os.path.lexists(path)]
    left += [path for path in (HOOK, "/var/lib/vfio-profile", "/run/vfio-profile") if os.path.lexists(path)]
    check_equal(left, [], "left behind")
    lines = subprocess.run(["grep", "-rl", "vfio-profile", "/etc/apparmor.d", "/etc/libvirt", "/etc/systemd"],
                           capture_output=True, text=True).stdout
    check_equal(lines, "", "files that still name us")


main()
