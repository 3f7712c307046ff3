# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recorded machines for the tests of vfio-profile doctor, and TAP. See test-doctor.py for the arguments."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM, DATA = map(os.path.abspath, sys.argv[1:3])
HOOK, EMULATOR, STATE, RUN = (path[1:] for path in sys.argv[3:7])
SOURCE = os.path.dirname(os.path.dirname(DATA))
I7_3770K = "pack:1 l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)"
PROFILES = ("--profiles", os.path.join(SOURCE, "data/profiles"))
WRAPPERS = f"{STATE}/emulators"
UUID = "6c9c5d1b-1f5c-4d3e-9a35-0d6a0a5b7a01"
MIB = 1024
BOOT = 1700000000
HOUR = 3600
POOL = "sys/kernel/mm/hugepages/hugepages-2048kB"
MOUNTS = ("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "30 22 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw\n"
          "33 30 0:30 / /dev/hugepages rw,relatime - hugetlbfs hugetlbfs rw,pagesize=2M\n")


class Machine:
    """The machine of the howto, set up: nothing is wrong with it but what a test changes."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(dir=".")
        unread = shutil.ignore_patterns("subsystem*", "local_cpulist", "driver_override", "*_hugepages_*", "resv_*",
                                        "surplus_*", "nr_overcommit*", "drivers")
        shutil.copytree(f"{DATA}/sysfs/howto-2015", f"{self.folder}/sys", symlinks=True, ignore=unread)
        for path, text in {
                "etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
                "etc/default/grub": "", "proc/cmdline": "root=/dev/sda1 intel_iommu=on iommu=pt\n",
                "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\n",
                "proc/meminfo": f"MemTotal: {16384 * MIB} kB\nMemAvailable: {8192 * MIB} kB\nHugepagesize: 2048 kB\n",
                "proc/interrupts": "           CPU0\n 16:  0  IR-IO-APIC  16-fasteoi  ehci_hcd\n",
                "proc/sys/kernel/osrelease": "6.1.0-9-amd64\n", "proc/self/mountinfo": MOUNTS,
                "proc/stat": f"cpu 1 2 3\nbtime {BOOT}\nprocesses 1\n", "proc/fb": "0 i915drmfb\n",
                "lib/modules/6.1.0-9-amd64/modules.dep": "kernel/drivers/vfio/pci/vfio-pci.ko: x.ko\n",
                "boot/config-6.1.0-9-amd64": "CONFIG_PCI=y\nCONFIG_VFIO_PCI_VGA=y\n",
                "dev/hugepages/libvirt/qemu/1": "", f"{RUN}/gate.sock": "", "var/log/audit/audit.log": "",
                "sys/class/iommu/dmar0/intel-iommu/cap": "d2078c106f0466\n",
                "sys/firmware/acpi/tables/DMAR": "", "sys/devices/system/cpu/online": "0-7\n",
                "run/systemd/system/x": "", "etc/systemd/system/multi-user.target.wants/vfio-profiled.service": "",
        }.items():
            self.write(path, text)
        for path in (HOOK, EMULATOR, "usr/sbin/libvirtd", "usr/bin/qemu-system-x86_64"):
            self.program(path)
        self.process(700, "libvirtd", time.time() + HOUR)
        self.process(701, "vfio-profiled", time.time() + HOUR)
        for address in ("0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0000:02:00.1"):
            self.bind(address, "vfio-pci")

    def path(self, path):
        return os.path.join(self.folder, path)

    def write(self, path, text):
        """A link that leads there stays one."""
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)

    def program(self, path, text="#!/bin/sh\n"):
        self.write(path, text)
        os.chmod(self.path(path), 0o755)

    def remove(self, path):
        whole = self.path(path)
        if os.path.isdir(whole) and not os.path.islink(whole):
            shutil.rmtree(whole)
        else:
            os.unlink(whole)

    def process(self, pid, name, started):
        ticks = int((started - BOOT) * os.sysconf("SC_CLK_TCK"))
        self.write(f"proc/{pid}/comm", name + "\n")
        self.write(f"proc/{pid}/stat", f"{pid} ({name}) S " + "0 " * 18 + f"{ticks} 0 0\n")

    def bind(self, address, driver):
        link = os.path.join(self.path("sys/bus/pci/devices"), address, "driver")
        if os.path.lexists(link):
            os.unlink(link)
        if driver:
            os.makedirs(self.path(f"sys/bus/pci/drivers/{driver}"), exist_ok=True)
            os.symlink(f"../../../../bus/pci/drivers/{driver}", link)

    def attribute(self, address, name, text):
        self.write(f"sys/bus/pci/devices/{address}/{name}", text)

    def guest(self, name="win10", profile="pinned", cards=("0000:01:00.0", "0000:01:00.1"), mib=4096, vcpus=4,
              emulator="/usr/bin/qemu-system-x86_64", overrides="", prepared=True, running=False, tail=""):
        tag = (f'<metadata><vfio:profile xmlns:vfio="urn:vfio-profile:1" name="{profile}">{overrides}</vfio:profile>'
               "</metadata>" if profile else "")
        devices = "".join(
            "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x{}' bus='0x{}' slot='0x{}' "
            "function='0x{}'/></source></hostdev>".format(*re.split("[:.]", card)) for card in cards)
        xml = (f"<domain type='kvm'><name>{name}</name><uuid>{UUID}</uuid>{tag}<memory unit='MiB'>{mib}</memory>"
               f"<vcpu>{vcpus}</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>"
               f"<devices><emulator>{emulator}</emulator>{devices}</devices>{tail}</domain>".replace(
                   UUID, UUID if name == "win10" else UUID[:-2] + f"{len(name):02}"))
        if prepared and profile:
            xml = subprocess.run([PROGRAM, "rewrite", "--topology", I7_3770K, "--sysfs", self.path("sys"), *PROFILES],
                                 input=xml, capture_output=True, text=True, check=True).stdout
        self.write(f"etc/libvirt/qemu/{name}.xml", f"<!-- made by libvirt -->\n{xml}")
        if running:
            self.write(f"run/libvirt/qemu/{name}.pid", "900")
        return name

    def run(self, *arguments, status=None):
        return run("doctor", "--root", self.folder, "--topology", I7_3770K, *PROFILES, *arguments, status=status)

    def checks(self, *arguments):
        """{check: [(result, words)]}"""
        found = {}
        out = json.loads(self.run("--json", *arguments)[0])
        for one in out["checks"]:
            words = one["seen"] + (" -> " + one["advice"] if one["advice"] else "")
            found.setdefault(one["check"], []).append((one["result"], words))
        return found


def environment():
    env = {"PATH": os.environ["PATH"], "HOME": os.getcwd(), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "G_DEBUG"):
        if name in os.environ:
            env[name] = os.environ[name]
    return env


def run(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, env=environment(),
                          timeout=60, check=False)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode in ((0, 1) if status is None else (status,)), f"{arguments}: {done.returncode}\n{out}{err}"
    assert (done.returncode == 0) == (err == ""), err
    return out, err


def expect(machine, check, result, *words, domain=None):
    """One finding of that check has the result and all the words."""
    found = machine.checks(*([domain] if domain else [])).get(check, [])
    for got, text in found:
        if got == result and all(word in text for word in words):
            return text
    raise AssertionError(f"{check}: no {result} with {words} in {found}")
