# SPDX-License-Identifier: LGPL-2.1-or-later
"""vfio-profile doctor and groups on a real libvirtd: the hook, the daemon, mounts, a domain and what it needs."""
import json
import os
import re

from lib import (Qemu, check, check_equal, connect, daemon, defined, domain_xml, libvirtd, main, note, run, test,
                 wait_ready, wait_until)

HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"

connection = connect()


def doctor(*arguments):
    """{check: [(result, words)]}; the exit status is that of the worst."""
    done = run("vfio-profile", "doctor", "--json", *arguments, ok=None)
    report = json.loads(done.stdout)
    check_equal(done.returncode, 1 if report["worst"] == "FAIL" else 0, "exit status")
    found = {}
    for one in report["checks"]:
        found.setdefault(one["check"], []).append((one["result"], f"{one['seen']} -> {one['advice']}"))
    return found


def expect(found, name, result, *words):
    for got, text in found.get(name, []):
        if got == result and all(word in text for word in words):
            return
    raise AssertionError(f"{name}: no {result} with {words} in {found.get(name)}")


def hostdev(address):
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return (f"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x{domain}' bus='0x{bus}' "
            f"slot='0x{slot}' function='0x{function}'/></source></hostdev>")


def reconnect():
    global connection  # the old one ended with the libvirtd that it was made to
    connection = connect()


@test("a fresh installation: libvirt, hook, daemon and wrappers are in order")
def fresh():
    found = doctor()
    version = connection.getLibVersion()
    expect(found, "libvirt.version", "OK", f"{version // 1000000}.{version // 1000 % 1000}", "libvirtd")
    for name in ("hook.installed", "hook.registered", "daemon.runs", "wrappers.program", "wrappers.mount",
                 "cpu.topology"):
        expect(found, name, "OK")
    expect(found, "memory.mounts", "OK", "2M: /dev/hugepages")
    check("domain.ready" not in found, "it judges a domain that was not named")
    text = run("vfio-profile", "doctor", ok=None).stdout
    check("\033" not in text, "colour into a pipe")
    note(text)


@test("machine types that QEMU has dropped, or is about to: libvirt keeps the definitions, the doctor says so")
def machine_types():
    # Others with each release of QEMU.
    known = run("qemu-system-x86_64", "-machine", "help").stdout
    ageing = re.search(r"^(pc-i440fx-\S+) .*\(deprecated\)$", known, re.M)[1]
    # As an upgrade of QEMU leaves them: libvirt would not take them now.
    for name, profile, machine in (("old", "pinned", "pc-i440fx-0.15"), ("older", None, "pc-q35-1.4"),
                                   ("fine", "pinned", "q35"), ("ageing", None, ageing)):
        with open(f"/etc/libvirt/qemu/{name}.xml", "w", encoding="utf-8") as file:
            file.write(domain_xml(name, profile, machine=machine))
    libvirtd.restart()
    reconnect()
    try:
        found = doctor()
        expect(found, "guests.machines", "FAIL", "'old' has machine type pc-i440fx-0.15", "no longer has",
               "put pc-i440fx-", "virsh edit old")
        expect(found, "guests.machines", "WARN", "'older' has machine type pc-q35-1.4", "put pc-q35-")
        expect(found, "guests.machines", "WARN", "'ageing'", "about to drop")
        check_equal(len(found["guests.machines"]), 3, "what is said")
    finally:
        for name in ("old", "older", "fine", "ageing"):
            connection.lookupByName(name).undefine()
    with defined(connection, domain_xml("fine", "pinned")):
        expect(doctor(), "guests.machines", "OK", "all guests")


@test("groups: what the kernel lists, or that there are none")
def groups():
    done = run("vfio-profile", "groups", "--json", ok=None)
    if os.path.isdir("/sys/kernel/iommu_groups") and os.listdir("/sys/kernel/iommu_groups"):
        listed = {str(group["group"]) for group in json.loads(done.stdout)}
        check_equal(listed, set(os.listdir("/sys/kernel/iommu_groups")), "groups")
    else:
        check_equal(done.returncode, 1, "exit status without groups")
        check("no IOMMU groups" in done.stderr, done.stderr)


@test("without the daemon: WARN while nothing is tagged, FAIL where a guest is")
def no_daemon():
    daemon.stop()
    try:
        expect(doctor(), "daemon.runs", "WARN", "no guest is tagged")
        with defined(connection, domain_xml("tagged", "pinned")):
            found = doctor("tagged")
            expect(found, "daemon.runs", "FAIL", "does not run", "systemctl enable --now vfio-profiled")
            expect(found, "domain.ready", "WARN", "not as 'pinned' asks")
    finally:
        daemon.start()


@test("a hook that is not executable, is gone, or came after libvirt's start")
def hook():
    os.chmod(HOOK, 0o644)
    expect(doctor(), "hook.installed", "FAIL", "not executable", f"chmod 755 {HOOK}")

    def warns():
        os.chmod(HOOK, 0o755)
        return "WARN" in dict(doctor()["hook.registered"])

    wait_until("the hook is newer than libvirtd, which is known in seconds", warns, 10, 0.5)
    expect(doctor(), "hook.registered", "WARN", "before the hook came", "systemctl reload libvirtd")
    libvirtd.restart()
    reconnect()
    expect(doctor(), "hook.registered", "OK", "after the hook came")
    os.rename(HOOK, "/etc/libvirt/hooks/moved")
    expect(doctor(), "hook.installed", "FAIL", "not there")
    os.rename("/etc/libvirt/hooks/moved", HOOK)


@test("hugepages that are not mounted, or mounted behind libvirt's back")
def mounts():
    with defined(connection, domain_xml("paged", "pinned", "<vfio:memory page-size='2M'/>")):
        wait_ready("paged")
        expect(doctor("paged"), "memory.mounts", "OK", "2M: /dev/hugepages")
        expect(doctor("paged"), "domain.ready", "OK", "'pinned'")
        run("umount", "-l", "/dev/hugepages")
        expect(doctor("paged"), "memory.mounts", "FAIL", "'paged' needs it", "/etc/fstab")
        run("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "hugetlbfs", "/dev/hugepages")
        expect(doctor("paged"), "memory.mounts", "FAIL", "after libvirt's start", "restart")
    libvirtd.restart()
    reconnect()
    expect(doctor(), "memory.mounts", "OK", "2M: /dev/hugepages")


@test("a domain with a device that is not there; one that does not exist")
def device():
    with defined(connection, domain_xml("missing", "pinned", devices=hostdev("0000:7e:1f.7"))):
        wait_ready("missing")
        expect(doctor("missing"), "domain.devices", "FAIL", "no PCI device 0000:7e:1f.7")
        check_equal(connection.numOfDomains(), 0, "domains that run: it was started")
    done = run("vfio-profile", "doctor", "bogus", ok=False)
    check("no domain 'bogus'" in done.stderr, done.stderr)


@test("a guest that runs: the hook was called; as planned, and not when it is pinned elsewhere")
def running():
    with defined(connection, domain_xml("runs", "pinned", "<vfio:memory page-size='2M'/>")) as domain:
        wait_ready("runs")
        domain.create()
        found = doctor("runs")
        expect(found, "hook.called", "OK", "1 of 1")
        expect(found, "domain.drift", "OK")
        for task in os.listdir(f"/proc/{Qemu('runs').pid}/task"):
            if run("cat", f"/proc/{Qemu('runs').pid}/task/{task}/comm").stdout.startswith("CPU 0/"):
                os.sched_setaffinity(int(task), os.sched_getaffinity(0))
        found = doctor("runs")
        if len(os.sched_getaffinity(0)) > 1:
            expect(found, "domain.drift", "WARN", "stop and start the guest")


@test("without libvirt it looks at the rest, and says so")
def no_libvirt():
    libvirtd.stop()
    try:
        found = doctor()
        expect(found, "libvirt.version", "FAIL", "cannot connect", "systemctl enable --now libvirtd.socket")
        expect(found, "hook.installed", "OK")
    finally:
        libvirtd.start()
        reconnect()


main()
