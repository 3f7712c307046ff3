#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vfio-profile sequester on recorded machines: what it takes, refuses, writes and takes back; and what runs at boot.

Usage: as for test-doctor.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the source tree stays as it is
from doctor_machine import (BOOT, DATA, HOUR, PROGRAM, SOURCE, Machine, environment, expect, run)  # noqa: E402
from tap import Skip, main  # noqa: E402

LIST = "etc/vfio-profile/sequester"
MODPROBE = "etc/modprobe.d/vfio-profile.conf"
GEFORCE = {"0000:01:00.0": "10de:1381", "0000:01:00.1": "10de:0fbc"}
RADEON = {"0000:02:00.0": "1002:6611", "0000:02:00.1": "1002:aab0"}
MAKER = "usr/sbin/update-initramfs"


def host(recorded="howto-2015"):
    """A machine before any set-up, which makes its initramfs as Debian does."""
    machine = Machine()
    if recorded == "howto-2015":
        for address, driver in (("0000:01:00.0", "nouveau"), ("0000:01:00.1", "snd_hda_intel"),
                                ("0000:02:00.0", "radeon"), ("0000:02:00.1", "snd_hda_intel")):
            machine.bind(address, driver)
    else:
        shutil.rmtree(machine.path("sys"))
        shutil.copytree(f"{DATA}/sysfs/{recorded}", machine.path("sys"), symlinks=True)
    machine.program(MAKER)
    machine.attribute("0000:01:00.0", "modalias", "pci:v000010DEd00001381sv00001462sd00003102bc03sc00i00\n")
    machine.write("lib/modules/6.1.0-9-amd64/modules.alias",
                  "alias pci:v000010DEd*sv*sd*bc03sc00i* nouveau\nalias pci:v000010DEd*sv*sd*bc03sc*i* nvidia-current\n"
                  "alias pci:v000010DEd*sv*sd*bc03sc*i* bad;name\nalias pci:v00001002d*sv*sd*bc03sc*i* amdgpu\n"
                  "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\nalias pci:v*d*sv*sd*bc03sc*i* vfio-pci\nalias\n")
    return machine


def files(machine):
    """{path: its text}"""
    found = {}
    for folder, _, names in os.walk(machine.path("etc")):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                found[os.path.relpath(path, machine.folder)] = file.read()
    return found


def sequester(machine, *arguments, status=0):
    return run("sequester", "--root", machine.folder, *arguments, status=status)


def refused(machine, *arguments, status=1):
    before = files(machine)
    err = sequester(machine, *arguments, status=status)[1]
    assert files(machine) == before, "something was written"
    return err


def listed(machine):
    with open(machine.path(LIST), encoding="utf-8") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    return dict(lines)


def states(machine):
    return {one["address"]: one["state"] for one in json.loads(sequester(machine, "--list", "--json")[0])}


def test_writes():
    """a card is taken with its audio; two files say so, readable by all, and it says what to run"""
    machine = host()
    before = files(machine)
    old = os.umask(0o077)
    out = sequester(machine, "0000:01:00.0")[0]
    os.umask(old)
    assert listed(machine) == GEFORCE, listed(machine)
    assert "0000:01:00.1 audio" in out and "of the same card" in out, out
    assert "update-initramfs -u -k all" in out, out
    new = {path: text for path, text in files(machine).items() if path not in before}
    assert set(new) == {LIST, MODPROBE}, new
    for path in new:
        assert f"wrote {machine.path(path)}" in out, out
        assert os.stat(machine.path(path)).st_mode & 0o777 == 0o644, path
    lines = new[MODPROBE].splitlines()
    assert lines[1].startswith("install vfio-pci ") and lines[1].endswith("--ignore-install vfio-pci $CMDLINE_OPTS")
    assert lines[2:] == [f"softdep {name} pre: vfio-pci" for name in ("nouveau", "nvidia-current", "snd_hda_intel")], lines
    assert {path: text for path, text in files(machine).items() if path in before} == before


def test_forms():
    """an address may lack its domain, have capitals, or be that of the card's audio"""
    for word in ("01:00.0", "0000:01:00.1", "01:00.1"):
        machine = host()
        sequester(machine, word)
        assert listed(machine) == GEFORCE, listed(machine)
    assert "is no PCI address" in refused(host(), "1:0.0", status=2)


def test_idempotent():
    """the second time nothing is written; another card is added to the first"""
    machine = host()
    sequester(machine, "01:00.0")
    before = {path: os.stat(machine.path(path)).st_ino for path in (LIST, MODPROBE)}
    out = sequester(machine, "01:00.0")[0]
    assert "already" in out and "wrote" not in out and "update-initramfs" not in out, out
    assert before == {path: os.stat(machine.path(path)).st_ino for path in before}
    sequester(machine, "02:00.0")
    assert listed(machine) == GEFORCE | RADEON
    assert "softdep radeon pre" in files(machine)[MODPROBE] and "softdep nouveau pre" in files(machine)[MODPROBE]


def test_undo():
    """--undo takes away all that was written and nothing else, whole or card by card"""
    machine = host()
    machine.write("etc/modprobe.d/vfio.conf", "options vfio-pci disable_vga=1\n")
    before = files(machine)
    sequester(machine, "01:00.0", "02:00.0")
    sequester(machine, "--undo", "01:00.1")
    assert listed(machine) == RADEON
    out = sequester(machine, "--undo", "02:00.0")[0]
    assert files(machine) == before and f"removed {machine.path(LIST)}" in out and "update-initramfs" in out, out
    sequester(machine, "01:00.0", "02:00.0")
    sequester(machine, "--undo")
    assert files(machine) == before
    assert "no card is sequestered" in sequester(machine, "--undo")[0]
    assert "none of these" in sequester(machine, "--undo", "01:00.0")[0]
    assert files(machine) == before


def test_all():
    """--all-but-boot-vga takes every graphics card but the boot display; a domain of five digits too"""
    machine = host()
    sequester(machine, "--all-but-boot-vga")
    assert listed(machine) == GEFORCE | RADEON
    machine = host("numa-2node")
    sequester(machine, "--all-but-boot-vga")
    assert set(listed(machine)) == {"0000:41:00.0", "0000:41:00.1", "0001:17:00.0"}, listed(machine)
    machine = host()
    machine.attribute("0000:00:02.0", "boot_vga", "0\n")
    assert "name the cards by their addresses" in refused(machine, "--all-but-boot-vga")
    machine.write("sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n")
    machine.write("sys/class/vtconsole/vtcon1/bind", "1\n")
    os.makedirs(machine.path("sys/class/graphics/fb0"))
    os.symlink("../../../bus/pci/devices/0000:00:02.0", machine.path("sys/class/graphics/fb0/device"))
    assert "give --force" in refused(machine, "00:02.0")
    sequester(machine, "--all-but-boot-vga")
    assert listed(machine) == GEFORCE | RADEON
    sequester(machine, "--undo")
    machine.attribute("0000:01:00.0", "drm/card1/boot_display", "1\n")
    sequester(machine, "--all-but-boot-vga")
    assert "0000:00:02.0" in listed(machine) and not set(GEFORCE) & set(listed(machine)), listed(machine)


def test_refusals():
    """the boot display, bridges, parts of the board, and what is not there"""
    machine = host()
    assert "give --force" in refused(machine, "00:02.0")
    assert "bridge" in refused(machine, "00:01.0")
    assert "parts of the board" in refused(machine, "00:1f.2")
    assert "has no PCI device 0000:09:00.0" in refused(machine, "01:00.0", "09:00.0")
    machine = host("no-iommu")
    assert "IOMMU" in refused(machine, "0b:00.0")
    sequester(machine, "--force", "0b:00.0")
    assert set(listed(machine)) == {"0000:0b:00.0", "0000:0b:00.1"}, listed(machine)


def test_force():
    """--force takes the boot display and says that the firmware's picture stays on it"""
    machine = host()
    done = subprocess_run(machine, "--force", "00:02.0")
    assert "initcall_blacklist=sysfb_init to GRUB_CMDLINE_LINUX" in done.stderr, done.stderr
    assert set(listed(machine)) == {"0000:00:02.0"}


def subprocess_run(machine, *arguments):
    """Of a command that succeeds with warnings."""
    return subprocess.run([PROGRAM, "sequester", "--root", machine.folder, *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, env=environment(), timeout=60, check=True, text=True)


def test_group():
    """what is of another slot in the group is named, and is taken only when it is named as well"""
    machine = host()
    link = machine.path("sys/bus/pci/devices/0000:02:00.0/iommu_group")
    target = os.readlink(link)
    for function in "01":
        link = machine.path(f"sys/bus/pci/devices/0000:02:00.{function}/iommu_group")
        os.unlink(link)
        os.symlink(re.sub(r"\d+$", "1", target), link)
    err = refused(machine, "01:00.0")
    assert "0000:02:00.0 VGA" in err and "0000:02:00.1 audio" in err and "name them as well" in err, err
    sequester(machine, "01:00.0", "02:00.0")
    assert listed(machine) == GEFORCE | RADEON


def test_disk():
    """what the host has mounted is never taken, not even with --force"""
    machine = host("no-iommu")
    device = os.path.realpath(machine.path("sys/bus/pci/devices/0000:01:00.0"))
    block = os.path.join(device, "nvme/nvme0/nvme0n1")
    os.makedirs(block)
    with open(os.path.join(block, "uevent"), "w", encoding="utf-8") as file:
        file.write("MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\n")
    os.makedirs(machine.path("sys/class/block"), exist_ok=True)
    os.symlink(os.path.relpath(block, machine.path("sys/class/block")), machine.path("sys/class/block/nvme0n1"))
    machine.write("proc/self/mountinfo", "22 1 259:0 / / rw,relatime shared:1 - ext4 /dev/nvme0n1 rw\n")
    err = refused(machine, "--force", "01:00.0")
    assert "the host uses it: nvme0n1 is mounted on /" in err, err


def test_built_in():
    """a driver that is built into the kernel cannot be kept off, and a second install line is named"""
    machine = host()
    machine.write("lib/modules/6.1.0-9-amd64/modules.builtin", "kernel/drivers/gpu/drm/nouveau/nouveau.ko\n")
    machine.write("etc/modprobe.d/mine.conf", "# mine\n install vfio_pci /usr/local/bin/mine\n")
    err = subprocess_run(machine, "01:00.0").stderr
    assert "nouveau is built into this kernel" in err and "/etc/modprobe.d/mine.conf also says" in err, err
    assert listed(machine) == GEFORCE


def test_foreign_files():
    """a file of that name that is somebody else's is neither overwritten nor removed"""
    machine = host()
    machine.write(MODPROBE, "options vfio-pci ids=10de:1381\n")
    for arguments in (("01:00.0",), ("--undo",), ("--list",)):
        assert "somebody else's" in refused(machine, *arguments)


def test_damaged_list():
    """a line that is none is named; --undo takes the file away nevertheless"""
    machine = host()
    before = files(machine)
    sequester(machine, "01:00.0")
    with open(machine.path(LIST), "a", encoding="utf-8") as file:
        file.write("0000:02:00.0 $(reboot)\n")
    err = refused(machine, "02:00.0")
    assert "line 5" in err and "$(reboot)" in err, err
    expect(machine, "drivers.sequestered", "WARN", "line 5", "--undo")
    sequester(machine, "--undo")
    assert files(machine) == before


def age(machine, path, seconds):
    os.utime(machine.path(path), (seconds, seconds))


def test_states():
    """--list and the doctor: ready, next boot, missed, another device, gone"""
    machine = host()
    sequester(machine, "01:00.0")
    assert states(machine) == dict.fromkeys(GEFORCE, "next-boot")
    expect(machine, "drivers.sequestered", "WARN", "0000:01:00.0: nouveau", "listed after the boot", "-> boot")
    machine.write("boot/initrd.img-6.1.0-9-amd64", "")
    age(machine, "boot/initrd.img-6.1.0-9-amd64", time.time() - HOUR)
    expect(machine, "drivers.sequestered", "WARN", "older than the list", "run 'update-initramfs -u -k all'")
    age(machine, "boot/initrd.img-6.1.0-9-amd64", BOOT)
    age(machine, LIST, BOOT - HOUR)
    assert states(machine) == dict.fromkeys(GEFORCE, "missed")
    expect(machine, "drivers.sequestered", "WARN", "0000:01:00.0: nouveau, though it was listed", "update-initramfs")
    text = sequester(machine, "--list")[0]
    assert re.search(r"^0000:01:00\.0  10de:1381  nouveau +missed$", text, re.M), text
    machine.bind("0000:01:00.0", "vfio-pci")
    assert states(machine) == {"0000:01:00.0": "ready", "0000:01:00.1": "missed"}
    expect(machine, "drivers.sequestered", "OK", "0000:01:00.0: on vfio-pci")
    machine.attribute("0000:01:00.0", "device", "0x1380\n")
    assert states(machine)["0000:01:00.0"] == "another"
    expect(machine, "drivers.sequestered", "WARN", "listed as 10de:1381, and is 10de:1380 now", "--undo 0000:01:00.0")
    os.unlink(machine.path("sys/bus/pci/devices/0000:01:00.0"))
    assert states(machine)["0000:01:00.0"] == "gone"
    expect(machine, "drivers.sequestered", "WARN", "0000:01:00.0 is listed, and the host has no such device")


def test_twins():
    """the doctor is content with twins that are told apart by address"""
    machine = host()
    machine.attribute("0000:02:00.0", "vendor", "0x10de\n")
    machine.attribute("0000:02:00.0", "device", "0x1381\n")
    expect(machine, "drivers.twins", "WARN", "vfio-profile sequester")
    sequester(machine, "02:00.0")
    assert set(listed(machine)) == set(RADEON), listed(machine)
    expect(machine, "drivers.twins", "OK", "told apart by address")


def test_makers():
    """the command for the initramfs is that of the program which is there"""
    for program, words in (("usr/bin/dracut", "dracut --force --regenerate-all"), ("usr/bin/mkinitcpio", "FILES"),
                           ("usr/bin/other", "make the initramfs anew")):
        machine = host()
        os.unlink(machine.path(MAKER))
        machine.program(program)
        assert words in sequester(machine, "01:00.0")[0], program


def test_usage():
    """one of addresses, --all-but-boot-vga, --list and --undo"""
    machine = host()
    for arguments in ((), ("--list", "--undo"), ("--list", "01:00.0"), ("--all-but-boot-vga", "01:00.0"),
                      ("--undo", "--all-but-boot-vga"), ("01:00.0", "--json"), ("--undo", "--force"),
                      ("01:00.0", "--initramfs")):
        refused(machine, *arguments, status=2)


# --- what runs at boot ------------------------------------------------------------------------


SHELLS = [path for path in map(shutil.which, ("dash", "bash")) if path] or ["/bin/sh"]


def boot(machine, text, *arguments, shell=None):
    """Runs the program of the initramfs in the machine; {address: its mark}."""
    with open(f"{SOURCE}/data/sequester/vfio-profile-sequester.in", encoding="utf-8") as file:
        program = file.read()
    for old, new in (("@list@", machine.path(LIST)), ("/dev/kmsg", machine.path("kmsg")), ("/sys/", machine.path("sys/"))):
        program = program.replace(old, new)
    for address in os.listdir(machine.path("sys/bus/pci/devices")):
        machine.attribute(address, "driver_override", "")
    machine.write("sys/bus/pci/drivers_probe", "")
    machine.write("kmsg", "")
    machine.write(LIST, text)
    machine.program("bin/modprobe", f'#!/bin/sh\necho "$*" >> {os.path.abspath(machine.path("loaded"))}\n')
    machine.write("program", program)
    subprocess.run([shell or SHELLS[0], machine.path("program"), *arguments], check=True, timeout=20, stdin=subprocess.DEVNULL,
                   env={"PATH": os.path.abspath(machine.path("bin"))}, capture_output=True)
    marks = {}
    for address in os.listdir(machine.path("sys/bus/pci/devices")):
        with open(machine.path(f"sys/bus/pci/devices/{address}/driver_override"), encoding="utf-8") as file:
            mark = file.read().strip()
        if mark:
            marks[address] = mark
    return marks


def said(machine, path):
    with open(machine.path(path), encoding="utf-8") as file:
        return file.read()


def test_boot_marks():
    """at boot each listed function is marked, and vfio-pci is loaded after that"""
    for shell in SHELLS:
        machine = host()
        for address in GEFORCE:
            machine.bind(address, None)
        text = "# a comment\n\n" + "".join(f"{address} {ids}\n" for address, ids in GEFORCE.items())
        assert boot(machine, text.rstrip("\n"), "load", shell=shell) == dict.fromkeys(GEFORCE, "vfio-pci"), shell
        assert said(machine, "loaded") == "--ignore-install vfio-pci\n"
        assert said(machine, "sys/bus/pci/drivers_probe").strip() in GEFORCE
        assert boot(machine, text, shell=shell) == dict.fromkeys(GEFORCE, "vfio-pci")


def test_boot_leaves_alone():
    """a card with other ids, with a driver, or that is not there is left alone, and the kernel's log says so"""
    machine = host()
    machine.bind("0000:01:00.0", None)
    assert boot(machine, "0000:01:00.0 10de:9999\n0000:02:00.0 1002:6611\n0000:09:00.0 1002:6611\n", "load") == {}
    assert said(machine, "sys/bus/pci/drivers_probe") == ""
    assert boot(machine, "0000:02:00.0 1002:6611\n") == {}
    assert "has a driver already" in said(machine, "kmsg")


def test_boot_hostile():
    """lines of any other form do nothing"""
    machine = host()
    for address in GEFORCE:
        machine.bind(address, None)
    attacks = ["0000:01:00.0", "0000:01:00.0 10de:1381 more", "0000:01:00.0 ????:????", "0000:0?:00.0 10de:1381",
               "*:01:00.0 10de:1381", "../0000:01:00.0 10de:1381", "0000:01:00.0/../0000:01:00.0 10de:1381",
               "$(touch ran) 10de:1381", "`touch ran` 10de:1381", "; touch ran", "0000:01:00.0;touch 10de:1381", "-e x",
               "0000:01:00.0 10de:1381;touch ran", "0000:01:00.0 10DE:1381", "\\ \\", "0000:01:00.\\0 10de:1381x",
               "a" * 100000, "0000:01:00.8 10de:1381", "00:01:00.0 10de:1381", "\0000:01:00.0 10de:1381", "é é"]
    assert boot(machine, "\n".join(attacks) + "\n", "load") == {}
    assert not os.path.exists("ran") and said(machine, "sys/bus/pci/drivers_probe") == ""
    assert boot(machine, "\n".join([*attacks, "0000:01:00.1 10de:0fbc"])) == {"0000:01:00.1": "vfio-pci"}


def test_boot_without_list():
    """without a list nothing is loaded"""
    machine = host()
    boot(machine, "")
    os.unlink(machine.path(LIST))
    subprocess.run([SHELLS[0], machine.path("program"), "load"], check=True, env={"PATH": os.path.abspath(machine.path("bin"))})
    assert not os.path.exists(machine.path("loaded"))


def test_shellcheck():
    """shellcheck has nothing to say of the programs of the initramfs"""
    if not shutil.which("shellcheck"):
        raise Skip("needs shellcheck, which is not installed")
    folder = f"{SOURCE}/data/sequester"
    paths = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".in")]
    done = subprocess.run(["shellcheck", "--shell=sh", *paths], capture_output=True, text=True, check=False)
    assert len(paths) == 5 and done.returncode == 0, done.stdout


main(globals())
