#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/tutorial.md: its commands, run on a recorded machine, print what stands there.

Arguments as for test-doctor.py. The machine goes the way of the reader: without an IOMMU, with one,
with the card kept, with the guest. What needs a libvirt is left to the integration suite.
"""

import os
import re
import shutil

import doctor_machine
from doctor_machine import I7_3770K, PROFILES, SOURCE, Machine, run
from tap import Skip, main

CARD = ("0000:01:00.0", "0000:01:00.1")
OTHER = ("0000:02:00.0", "0000:02:00.1")
# Of the full set of Hyper-V features, what libvirt has since 11.0; the tutorial shows an older one.
NEWER = ("xmm_input", "emsr_bitmap")


def steps():
    """[(command, [lines])] of the tutorial."""
    found = []
    with open(f"{SOURCE}/docs/tutorial.md", encoding="utf-8") as file:
        blocks = re.findall(r"^```console\n(.*?)^```", file.read(), re.M | re.S)
    for block in blocks:
        for part in re.split(r"^# ", block, flags=re.M)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            found.append((command, lines))
    return found


def bare():
    """The machine before anything was done."""
    machine = Machine()
    for display, sound, driver in ((*CARD, "nouveau"), (*OTHER, "radeon")):
        machine.bind(display, driver)
        machine.bind(sound, "snd_hda_intel")
    machine.program("usr/sbin/update-initramfs")
    return machine


def without_iommu(machine):
    machine.write("proc/cmdline", "root=/dev/sda1\n")
    for path in ("sys/kernel/iommu_groups", "sys/class/iommu"):
        machine.remove(path)
    for address in os.listdir(machine.path("sys/bus/pci/devices")):
        link = machine.path(f"sys/bus/pci/devices/{address}/iommu_group")
        if os.path.lexists(link):
            os.unlink(link)
    return machine


def guest():
    """That of step 7: the example's, without a tag."""
    with open(f"{SOURCE}/examples/windows-gaming-ovmf.xml", encoding="utf-8") as file:
        xml = re.sub(r"<!--.*?-->|<metadata>.*</metadata>", "", file.read(), flags=re.S)
    tag = '<metadata><vfio:profile xmlns:vfio="urn:vfio-profile:1" name="gaming"/></metadata>'
    return re.sub(r"<name>.*</name>", f"<name>win10</name>{tag}", xml)


def check(wanted, text):
    """The lines stand in the output, in their order, and none is left out but where "…" is."""
    lines = text.replace("\u00a0", " ").rstrip("\n").split("\n")  # GLib's sizes do not break
    at, gap = 0, False
    for line in wanted:
        if line == "…":
            gap = True
            continue
        assert line in lines[at:], f"not printed: {line}\n{text}"
        here = lines.index(line, at)
        assert gap or here == at, f"left out: {lines[at:here]}"
        at, gap = here + 1, False
    assert gap or at == len(lines), f"left out: {lines[at:]}"


def output(command, machine):
    """What that command prints on the machine: both streams, as on a terminal."""
    name, *arguments = command.split()[1:]
    if name == "doctor":
        return "".join(machine.run(*arguments))
    if name == "groups":
        return run("groups", "--sysfs", machine.path("sys"))[0]
    if name == "sequester":
        return run("sequester", "--root", machine.folder, *arguments)[0].replace(machine.folder, "")
    host = ("--topology", I7_3770K, "--sysfs", machine.path("sys"))
    if name == "plan":
        return run("plan", "--file", "prepared.xml", *host, *PROFILES)[0]
    if name == "map":
        return run("map", *host, "prepared.xml")[0].replace("(definition)", "(stopped)")
    assert name == "profiles", command
    return re.sub(r"\S*/data/profiles/", "/usr/share/vfio-profile/profiles.d/", run("profiles", *PROFILES)[0])


def prepare(machine):
    """Step 8 without a libvirt."""
    with open("win10.xml", "w", encoding="utf-8") as file:
        file.write(guest())
    xml = run("rewrite", "--topology", I7_3770K, "--sysfs", machine.path("sys"), *PROFILES, "win10.xml")[0]
    with open("prepared.xml", "w", encoding="utf-8") as file:
        file.write(xml)
    machine.write("etc/libvirt/qemu/win10.xml", f"<!-- made by libvirt -->\n{xml}")


def test_output():
    """what the tutorial shows is what the programs print"""
    if not os.path.isdir(f"{doctor_machine.DATA}/sysfs/howto-2015"):
        raise Skip("no recorded machine")
    machine, checked, boots = without_iommu(bare()), [], 0
    for command, lines in steps():
        if command == "reboot":
            shutil.rmtree(machine.folder)
            machine = bare()
        elif re.match("vfio-profile (doctor|groups|sequester|plan|map|profiles)", command):
            if "--list" in command:
                boots += 1
                for address in CARD:
                    machine.bind(address, "vfio-pci")
            check(lines, output(command, machine))
            checked.append(command)
        elif command == "vfio-profile set win10 gaming":
            prepare(machine)
            host = ("--topology", I7_3770K, "--sysfs", machine.path("sys"))
            plan = run("plan", "--file", "win10.xml", *host, *PROFILES)[0]
            changes = int(re.search(r"^domain 'win10': (\d+) changes", plan)[1])
            changes -= len(re.findall(rf"^hyperv +features/hyperv/(?:{'|'.join(NEWER)}) ", plan, re.M))
            summary = re.search(r"^\d vCPUs on .*", plan, re.M)[0]
            assert lines == [f"domain 'win10': ready for 'gaming', {changes} changes: {summary}"], (lines, plan)
        elif command == "vfio-profile unset win10":
            assert lines == [f"domain 'win10': no tag any more, {changes} changes undone"], lines
    assert len(checked) >= 9 and boots == 1, checked


def test_ten_steps():
    """the tutorial has ten steps"""
    with open(f"{SOURCE}/docs/tutorial.md", encoding="utf-8") as file:
        titles = re.findall(r"^## (\d+)\. ", file.read(), re.M)
    assert titles == [str(number) for number in range(1, 11)], titles


main(globals())
