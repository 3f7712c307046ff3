#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vfio-profile grant on recorded machines: who may have what, which files say so, and what undo leaves.

Usage: as for test-doctor.py.
"""

import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is
from doctor_machine import DATA, MIB, PROGRAM, Machine, run  # noqa: E402
from tap import Skip, main  # noqa: E402

UID = os.getuid() or 1000
GRANTS = "etc/vfio-profile/grants"
LIST = "etc/vfio-profile/sequester"
MODPROBE = "etc/modprobe.d/vfio-profile.conf"
RULES = "etc/udev/rules.d/72-vfio-profile.rules"
LIMITS = f"etc/security/limits.d/vfio-profile-{UID}.conf"
UNIT = f"etc/systemd/system/user@{UID}.service.d/vfio-profile.conf"
DEFINITIONS = "home/alice/.config/libvirt/qemu"
BESIDE = 1024 * MIB


def host():
    machine = Machine()
    for address, driver in (("0000:01:00.0", "nouveau"), ("0000:01:00.1", "snd_hda_intel"), ("0000:02:00.0", "radeon")):
        machine.bind(address, driver)
    machine.write("etc/passwd", f"root:x:0:0:root:/root:/bin/sh\nalice:x:{UID}:100::/home/alice:/bin/sh\n"
                                "bob:x:4242:100::/home/bob:/bin/sh\nodd\"name:x:4243:100::/home/odd:/bin/sh\n")
    machine.program("usr/sbin/update-initramfs")
    return machine


def define(machine, name, mib):
    path = f"{DEFINITIONS}/{name}.xml"
    machine.write(path, f"<!-- libvirt's -->\n<domain type='kvm'><name>{name}</name><memory unit='MiB'>{mib}</memory>"
                        "<vcpu>2</vcpu></domain>\n")
    if os.getuid() == 0:
        os.chown(machine.path(path), UID, -1)


def tree(machine):
    """{path: its text, None for a folder}"""
    found = {}
    for folder, folders, names in os.walk(machine.path("etc")):
        found.update(dict.fromkeys((os.path.join(folder, name) for name in folders), None))
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found[os.path.join(folder, name)] = file.read()
    return found


def grant(machine, *arguments, status=0):
    return run("grant", "--root", machine.folder, *arguments, status=status)


def refused(machine, *arguments, status=1):
    before = tree(machine)
    err = grant(machine, *arguments, status=status)[1]
    assert tree(machine) == before, "something was written"
    return err


def text_of(machine, path):
    with open(machine.path(path), encoding="utf-8") as file:
        return file.read()


def limits(machine):
    """KiB for PAM and for systemd."""
    pam = text_of(machine, LIMITS).splitlines()[-1].split()
    assert pam[:3] == [f":{UID}", "-", "memlock"], pam
    unit = text_of(machine, UNIT).splitlines()
    assert unit[-2] == "[Service]" and unit[-1].startswith("LimitMEMLOCK=") and unit[-1].endswith("K"), unit
    return int(pam[3]), int(unit[-1][len("LimitMEMLOCK="):-1])


def test_writes():
    """the group's node by a program, both limits, the card kept for vfio-pci; and it says so"""
    machine = host()
    out = grant(machine, "alice", "01:00.0", "--memory", "8GiB")[0]
    for path in (GRANTS, RULES, LIMITS, UNIT, LIST, MODPROBE):
        assert f"wrote {machine.path(path)}" in out, (path, out)
        assert os.stat(machine.path(path)).st_mode & 0o777 == 0o644, path
    assert "update-initramfs -u -k all" in out and "may lock 9.0 GiB" in out and "not on vfio-pci yet" in out, out
    assert limits(machine) == (9 * 1024 * MIB, 9 * 1024 * MIB)
    lines = text_of(machine, GRANTS).splitlines()[1:]
    assert lines == [f"{UID} alice 0000:01:00.0 10de:1381 sequestered", f"{UID} alice 0000:01:00.1 10de:0fbc sequestered"]
    rules = [line for line in text_of(machine, RULES).splitlines() if not line.startswith("#")]
    nodes = 'SUBSYSTEM=="vfio", KERNEL=="[0-9]*"', 'SUBSYSTEM=="vfio-dev", KERNEL=="vfio[0-9]*"'
    for rule, node in zip(rules, nodes):
        assert node in rule and "vfio-profile-group-owner %k" in rule and 'OWNER="%c", MODE="0600"' in rule, rule
    assert rules[2:] == [f'SUBSYSTEM=="misc", KERNEL=="iommu", OWNER="{UID}", MODE="0660"'], rules
    again = grant(machine, "alice", "01:00.0")[0]
    assert "wrote" not in again and limits(machine)[0] == 9 * 1024 * MIB, again


def test_memory():
    """the limit is that of the largest guest and what libvirt adds, and does not shrink by itself"""
    machine = host()
    assert "--memory" in refused(machine, "alice", "01:00.0")
    define(machine, "small", 2048)
    define(machine, "large", 6144)
    machine.write(f"{DEFINITIONS}/broken.xml", "<domain")
    grant(machine, "alice", "01:00.0")
    assert limits(machine) == (6144 * MIB + BESIDE,) * 2
    machine.remove(f"{DEFINITIONS}/large.xml")
    grant(machine, "alice", "01:00.0")
    assert limits(machine)[0] == 6144 * MIB + BESIDE
    grant(machine, "alice", "01:00.0", "--memory=512 MiB")
    assert limits(machine)[0] == 512 * MIB + BESIDE
    for size in ("8", "8G", "GiB", "-1GiB", "0GiB", "8GiB;"):
        assert "no size" in refused(machine, "alice", "01:00.0", "--memory", size, status=2)


def test_memory_of_host():
    """what the user defined gets no more locked than there is; the administrator's word counts"""
    machine = host()
    define(machine, "dream", 1024 * 1024)
    out = grant(machine, "alice", "01:00.0")[0]
    assert limits(machine) == (16384 * MIB,) * 2
    assert "1025.0 GiB" in out and "this host has 16.0 GiB" in out, out
    grant(machine, "alice", "01:00.0", "--memory=20GiB")
    assert limits(machine)[0] == 20 * 1024 * MIB + BESIDE


def test_links_out():
    """a link in the machine below --root leads nowhere else, whoever put it there"""
    outside = os.path.abspath(f"outside-{os.getpid()}")
    os.mkdir(outside)
    try:
        for path in (MODPROBE, RULES, LIMITS, UNIT):
            machine = host()
            folder = os.path.dirname(path)
            os.makedirs(machine.path(os.path.dirname(folder)), exist_ok=True)
            shutil.rmtree(machine.path(folder), ignore_errors=True)
            os.symlink(outside, machine.path(folder))
            assert folder in grant(machine, "alice", "01:00.0", "--memory=1GiB", status=1)[1]
            assert os.listdir(outside) == [], path
        machine = host()
        os.makedirs(machine.path(os.path.dirname(GRANTS)), exist_ok=True)
        os.symlink(f"{outside}/file", machine.path(GRANTS))
        grant(machine, "alice", "01:00.0", "--memory=1GiB")
        assert os.listdir(outside) == [] and not os.path.islink(machine.path(GRANTS))
    finally:
        shutil.rmtree(outside)


def test_definitions_with_care():
    """no link is followed, and nothing is read that is not the user's or would block"""
    machine = host()
    os.makedirs(machine.path(DEFINITIONS))
    machine.write("root/guest.xml", "<domain type='kvm'><name>x</name><memory>1048576</memory><vcpu>1</vcpu></domain>")
    if os.getuid() == 0:
        os.chown(machine.path("root/guest.xml"), UID, -1)
    os.symlink(os.path.abspath(machine.path("root/guest.xml")), machine.path(f"{DEFINITIONS}/link.xml"))
    os.mkfifo(machine.path(f"{DEFINITIONS}/pipe.xml"))
    os.mkdir(machine.path(f"{DEFINITIONS}/folder.xml"))
    assert "has no guest defined" in refused(machine, "alice", "01:00.0")


def test_undo():
    """undo leaves what was there before, folders too; a card that was sequestered before stays so"""
    machine = host()
    os.makedirs(machine.path("etc/modprobe.d"))
    for folder in ("etc/udev/rules.d", "etc/security/limits.d", "etc/systemd/system"):
        os.makedirs(machine.path(folder), exist_ok=True)
    os.makedirs(machine.path("etc/vfio-profile"), exist_ok=True)
    before = tree(machine)
    grant(machine, "alice", "01:00.0", "--memory", "1GiB")
    out = grant(machine, "--undo")[0]
    assert tree(machine) == before and "update-initramfs" in out, out
    assert "nothing of that" in grant(machine, "--undo")[0]
    run("sequester", "--root", machine.folder, "01:00.0")
    kept = tree(machine)
    grant(machine, "alice", "01:00.0", "--memory", "1GiB")
    out = grant(machine, "--undo", "alice")[0]
    assert tree(machine) == kept and "update-initramfs" not in out, out


def test_undo_some():
    """cards of one user and of two are taken back one by one"""
    machine = host()
    grant(machine, "alice", "01:00.0", "--memory", "1GiB")
    grant(machine, "bob", "02:00.0", "--memory", "2GiB")
    assert 'KERNEL=="iommu", OWNER="root", MODE="0666"' in text_of(machine, RULES)
    assert "granted to 'alice' already" in refused(machine, "bob", "01:00.0", "-m", "1GiB")
    assert "nothing of that" in grant(machine, "--undo", "bob", "01:00.0")[0]
    grant(machine, "--undo", "alice", "01:00.1")
    assert 'KERNEL=="iommu", OWNER="4242", MODE="0660"' in text_of(machine, RULES)
    assert not os.path.exists(machine.path(UNIT)) and not os.path.exists(os.path.dirname(machine.path(UNIT)))
    assert not os.path.exists(machine.path(LIMITS)) and os.path.exists(machine.path(RULES))
    shown = json.loads(grant(machine, "--list", "--json")[0])
    assert [(one["user"], one["address"]) for one in shown] == [("bob", "0000:02:00.0"), ("bob", "0000:02:00.1")], shown
    assert shown[0]["limit_kib"] == 3 * 1024 * MIB and shown[0]["state"] == "next-boot", shown
    assert "0000:02:00.0" in text_of(machine, LIST) and "0000:01:00.0" not in text_of(machine, LIST)


def test_refusals():
    """root, users that are not there, the boot display, boards, and groups with anything else in them"""
    machine = host()
    assert "is root" in refused(machine, "root", "01:00.0")
    assert "there is no user 'carol'" in refused(machine, "carol", "01:00.0")
    assert "cannot hold" in refused(machine, 'odd"name', "01:00.0")
    assert "firmware starts on" in refused(machine, "alice", "00:02.0", "-m", "1GiB")
    assert "parts of the board" in refused(machine, "alice", "00:1f.2", "-m", "1GiB")
    # No driver has it, so sequester lets it be; but with the group's node it is the user's.
    target = os.readlink(machine.path("sys/bus/pci/devices/0000:01:00.0/iommu_group"))
    for function in "01":
        link = machine.path(f"sys/bus/pci/devices/0000:02:00.{function}/iommu_group")
        os.unlink(link)
        os.symlink(os.path.join(os.path.dirname(os.readlink(machine.path(
            "sys/bus/pci/devices/0000:01:00.0/iommu_group"))), os.path.basename(target)), link)
        machine.bind(f"0000:02:00.{function}", None)
    err = refused(machine, "alice", "01:00.0", "-m", "1GiB")
    assert "0000:02:00.0" in err and "name that as well" in err, err
    grant(machine, "alice", "01:00.0", "02:00.0", "-m", "1GiB")


def test_owner():
    """udev's question whose a node is, of a group and of a device for iommufd"""
    machine = host()
    grant(machine, "alice", "01:00.0", "-m", "1GiB")
    group = os.path.basename(os.readlink(machine.path("sys/bus/pci/devices/0000:01:00.0/iommu_group")))
    for name, card in (("vfio3", "0000:01:00.0"), ("vfio4", "0000:02:00.0")):
        os.makedirs(machine.path(f"sys/class/vfio-dev/{name}"))
        os.symlink(f"../../../bus/pci/devices/{card}", machine.path(f"sys/class/vfio-dev/{name}/device"))
    if not os.path.isdir(machine.path(f"sys/kernel/iommu_groups/{group}/devices")):
        os.makedirs(machine.path(f"sys/kernel/iommu_groups/{group}/devices"))
        for function in "01":
            os.symlink(f"../../../../bus/pci/devices/0000:01:00.{function}",
                       machine.path(f"sys/kernel/iommu_groups/{group}/devices/0000:01:00.{function}"))
    program = os.path.join(os.path.dirname(PROGRAM), "vfio-profile-group-owner")
    script = f"mount --bind '{machine.path('etc')}' /etc && mount --bind '{machine.path('sys')}' /sys && exec '{program}' "
    for node, answer in ((group, f"{UID}\n"), ("vfio3", f"{UID}\n"), ("vfio4", ""), ("vfio5", ""), ("99", "")):
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script + node], capture_output=True, text=True,
                              check=False)
        if "unshare" in done.stderr or "mount:" in done.stderr:
            raise Skip(f"it takes root, and mounts of its own: {done.stderr.strip()}")
        assert (done.returncode, done.stdout) == (0 if answer else 1, answer), (node, done)
    for wrong in ("vfio", "vfio3x", "../vfio3", "noiommu-0", ""):
        assert subprocess.run([program, wrong], capture_output=True, check=False).returncode == 2, wrong


def test_usage():
    """a user and addresses, --list or --undo"""
    machine = host()
    for arguments in ((), ("alice",), ("--list", "alice"), ("--list", "--undo"), ("alice", "x"), ("--undo", "--memory", "1GiB"),
                      ("alice", "01:00.0", "--json"), ("alice", "01:00.0", "--initramfs"), ("--undo", "--force")):
        refused(machine, *arguments, status=2)


def test_no_iommu():
    """without an IOMMU there is no group to grant"""
    machine = host()
    shutil.rmtree(machine.path("sys"))
    shutil.copytree(f"{DATA}/sysfs/no-iommu", machine.path("sys"), symlinks=True)
    assert "IOMMU" in refused(machine, "alice", "0b:00.0", "-m", "1GiB")
    assert "no IOMMU group" in refused(machine, "alice", "0b:00.0", "-m", "1GiB", "--force")


main(globals())
