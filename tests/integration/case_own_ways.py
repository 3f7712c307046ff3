# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the user gives QEMU himself beside the profile, on libvirt's own command line.

No card can be assigned here. The definitions are prepared for a recorded machine that has one, and libvirt says
(domxml-to-native) with which arguments it would start them; those go through the wrapper.
"""
import contextlib
import json
import os
import xml.etree.ElementTree as ET

from lib import (QEMU, WRAPPERS, Qemu, check, check_equal, check_same, connect, daemon, defined, definition,
                 domain_xml, has, main, plan, profile_tool, run, test, virsh, wait_ready, without_tag)

MACHINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/sysfs/howto-2015")
RECORDED = ("--topology", "pack:1 l3:1 core:4 pu:2", "--sysfs", MACHINE)
QEMU_NS = "http://libvirt.org/schemas/domain/qemu/1.0"
PRINTER = "/run/sandbox/print-arguments"
PATH = "/run/sandbox/own-ways.xml"
# One core with two threads, AMD's: what hwloc's synthetic machines do not say.
AMD_CORE = """<?xml version="1.0"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
<object type="Machine" os_index="0" cpuset="0x3" complete_cpuset="0x3" allowed_cpuset="0x3" nodeset="0x1"
 complete_nodeset="0x1" allowed_nodeset="0x1" gp_index="1"><info name="CPUVendor" value="AuthenticAMD"/>
<object type="Package" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"
 gp_index="2"><info name="CPUVendor" value="AuthenticAMD"/>
<object type="NUMANode" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"
 gp_index="3" local_memory="8589934592"/>
<object type="Core" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1" gp_index="4">
<object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="5"/>
<object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x1" complete_nodeset="0x1" gp_index="6"/>
</object></object></object></topology>
"""

connection = connect()


def hostdev(function, alias=""):
    return ("<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source><address domain='0x0' "
            f"bus='0x1' slot='0x0' function='{function}'/></source>{alias}</hostdev>")


def override(**properties):
    """<qemu:override>; underscores stand for dashes."""
    devices = "".join(f"<q:device alias='{alias.replace('_', '-')}'><q:frontend><q:property name='{name}' type='bool' "
                      "value='true'/></q:frontend></q:device>" for alias, name in properties.items())
    return f"<q:override xmlns:q='{QEMU_NS}'>{devices}</q:override>"


def arguments(*values):
    listed = "".join(f"<q:arg value='{value}'/>" for value in values)
    return f"<q:commandline xmlns:q='{QEMU_NS}'>{listed}</q:commandline>"


@contextlib.contextmanager
def prepared(tail, profile="vga", overrides="", alias=""):
    """The definition as it comes from the recorded machine, and the text without the profile."""
    plain = domain_xml("card", machine="pc", devices=hostdev(0, alias) + hostdev(1), tail=tail)
    with defined(connection, plain) as domain:
        before = definition(domain)
        uuid = domain.UUIDString()
    tagged = domain_xml("card", profile, overrides, machine="pc", devices=hostdev(0, alias) + hostdev(1), tail=tail)
    text = run("vfio-profile", "rewrite", *RECORDED, stdin=tagged).stdout
    with defined(connection, text.replace("<name>card</name>", f"<name>card</name><uuid>{uuid}</uuid>")) as domain:
        wait_ready("card")
        yield domain, before


def undone(domain, before):
    profile_tool("unset", "card")
    check_same(without_tag(definition(domain)), without_tag(before), "after unset")


def print_arguments(words):
    """What QEMU would be given by this command: a wrapper is asked with a program that prints instead of QEMU."""
    if not words[0].startswith(WRAPPERS):
        return words[1:]
    with open(PRINTER, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    os.chmod(PRINTER, 0o755)
    with open(words[0], encoding="utf-8") as file:
        text = file.read()
    check(f"emulator={QEMU}\n" in text, text)
    copy = f"{PRINTER}-wrapper"
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text.replace(f"emulator={QEMU}\n", f"emulator={PRINTER}\n"))
    os.chmod(copy, 0o755)
    return run(copy, *words[1:]).stdout.splitlines()


def started_with(domain):
    """{address on the host: its -device}, and all arguments."""
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(definition(domain))
    text = virsh("domxml-to-native", "qemu-argv", "--xml", PATH).stdout
    words = run("sh", "-c", f"set -- {text.strip()}; printf '%s\\n' \"$@\"").stdout.splitlines()
    while "=" in words[0] and not words[0].startswith("/"):
        del words[0]  # the environment
    given = print_arguments(words)
    devices = [json.loads(given[i + 1]) for i, word in enumerate(given) if word == "-device"]
    return {device["host"]: device for device in devices if device["driver"] == "vfio-pci"}, given


CARD, AUDIO = "0000:01:00.0", "0000:01:00.1"


def check_properties(devices, card, audio):
    """Those of the names x-… that each has, all of them on."""
    got = [{name for name, value in devices[address].items() if name.startswith("x-") and value is True}
           for address in (CARD, AUDIO)]
    check_equal(got, [set(card), set(audio)], "properties of the card and of its audio")


@test("properties in <qemu:override> reach card and audio as before, and x-vga the card alone")
def by_override():
    tail = override(hostdev0="x-no-kvm-intx", hostdev1="x-no-kvm-msi")
    with defined(connection, domain_xml("card", machine="pc", devices=hostdev(0) + hostdev(1), tail=tail)) as domain:
        check_properties(started_with(domain)[0], ["x-no-kvm-intx"], ["x-no-kvm-msi"])
    with prepared(tail) as (domain, before):
        devices, _ = started_with(domain)
        check_equal((devices[CARD]["id"], devices[AUDIO]["id"]), ("ua-vfio-x-vga", "hostdev0"), "the names")
        check_properties(devices, ["x-vga", "x-no-kvm-intx"], ["x-no-kvm-msi"])
        undone(domain, before)


@test("a name of the user's own, and vga.method = override beside his override")
def by_name():
    alias = "<alias name='ua-gtx'/>"
    tail = override(ua_gtx="x-no-kvm-intx", hostdev0="x-no-kvm-msi")
    for overrides in ("", "<vfio:vga method='override'/>"):
        with prepared(tail, overrides=overrides, alias=alias) as (domain, before):
            check_properties(started_with(domain)[0], ["x-vga", "x-no-kvm-intx"], ["x-no-kvm-msi"])
            undone(domain, before)


@test("-set names the card and its audio as before")
def by_set():
    tail = arguments("-set", "device.hostdev0.romfile=/a b/card.rom", "-set", "device.hostdev1.rombar=0")
    with prepared(tail) as (domain, before):
        devices, given = started_with(domain)
        names = {device["id"]: address for address, device in devices.items()}
        sets = [given[i + 1].split(".", 2) for i, word in enumerate(given) if word == "-set"]
        check_equal([(names[name], rest) for _, name, rest in sets],
                    [(CARD, "romfile=/a b/card.rom"), (AUDIO, "rombar=0")], "what -set names")
        check_properties(devices, ["x-vga"], [])
        undone(domain, before)


@test("a card that has x-vga of the user's own is left alone, and a warning says so")
def own_x_vga():
    for tail, card in ((override(hostdev0="x-vga"), ["x-vga"]), (arguments("-set", "device.hostdev0.x-vga=on"), [])):
        with prepared(tail) as (domain, before):
            devices, given = started_with(domain)
            check_equal(devices[CARD]["id"], "hostdev0", "the card's name")
            check_properties(devices, card, [])
            check_equal(given.count("device.hostdev0.x-vga=on"), 0 if card else 1, "the user's -set")
            check_equal(ET.fromstring(definition(domain)).findtext("devices/emulator"), QEMU, "the emulator")
            check(any("0000:01:00.0 x-vga" in text for text in plan("card")["warnings"]), plan("card")["warnings"])
            undone(domain, before)


@test("-cpu of the user's own: one warning names it, in plan, status and doctor, and QEMU takes it")
def own_cpu():
    with defined(connection, domain_xml("own", "nvidia", tail=arguments("-cpu", "qemu64"))) as domain:
        wait_ready("own")
        warnings = [text for text in plan("own")["warnings"] if "-cpu (" in text]
        check_equal(len(warnings), 1, "warnings")
        check("features/kvm/hidden" in warnings[0], warnings[0])
        for command in ("status", "doctor"):
            check("-cpu (" in run("vfio-profile", command, "own", ok=None).stdout, f"{command} does not say it")
        domain.create()
        check_equal(Qemu("own").option("-cpu")[-1], "qemu64", "the last -cpu")


@test("AMD's threads without KVM: topoext is not asked for, and the guest starts")
def without_kvm():
    with open("/run/sandbox/amd.xml", "w", encoding="utf-8") as file:
        file.write(AMD_CORE)
    os.environ.update(HWLOC_XMLFILE="/run/sandbox/amd.xml", HWLOC_THISSYSTEM="1")
    daemon.restart()
    try:
        own = "<cpu mode='host-model'><topology sockets='1' dies='1' cores='1' threads='2'/></cpu>"
        for cpu in (own, "<cpu mode='host-model'/>"):
            overrides = "<vfio:cpu reserve-cores='0' topology='match'/>"
            with defined(connection, domain_xml("threads", "pinned", overrides, vcpus=2, clock=cpu)) as domain:
                wait_ready("threads")
                check(has(definition(domain), "cpu/topology[@threads='2']"), "it has no threads")
                check(not has(definition(domain), "cpu/feature"), "a feature is required")
                domain.create()
                check_equal(Qemu("threads").option("-smp")[0].split(",")[-1], "threads=2", "-smp")
    finally:
        del os.environ["HWLOC_XMLFILE"], os.environ["HWLOC_THISSYSTEM"]
        daemon.restart()


main()
