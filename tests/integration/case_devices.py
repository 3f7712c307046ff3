# SPDX-License-Identifier: LGPL-2.1-or-later
"""PCI devices that cannot be given to the guest: refused by name, and libvirt is not touched by it."""
import os

import libvirt

from lib import (TAG_NS, Skip, check, check_equal, connect, defined, definition, domain_xml, main, note, profile_tool,
                 ready, run, test, wait_ready)

DEVICES = "/sys/bus/pci/devices"

connection = connect()


def hostdev(address, managed="yes"):
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return (f"<hostdev mode='subsystem' type='pci' managed='{managed}'><source><address domain='0x{domain}' "
            f"bus='0x{bus}' slot='0x{slot}' function='0x{function}'/></source></hostdev>")


def refusal(domain):
    try:
        domain.create()
    except libvirt.libvirtError as error:
        text = error.get_error_message()
        note(text.strip())
        return text[text.index("vfio-profile:"):]
    raise AssertionError("the start was not refused")


def any_endpoint():
    for name in sorted(os.listdir(DEVICES)):
        with open(f"{DEVICES}/{name}/class") as file:
            if not file.read().startswith("0x06"):
                return name
    raise Skip("needs a PCI device")


def ids_of(address):
    values = []
    for name in ("vendor", "device"):
        with open(f"{DEVICES}/{address}/{name}") as file:
            values.append(file.read().strip()[2:])
    return values


@test("a device that is not there")
def missing():
    with defined(connection, domain_xml("missing", "pinned", devices=hostdev("0000:7e:1f.7"))) as domain:
        wait_ready("missing")
        check("0000:7e:1f.7" in refusal(domain), "the address is not named")
        check_equal(domain.isActive(), 0, "the guest runs")


@test("a host without IOMMU, and what to do about it")
def no_iommu():
    if os.path.isdir("/sys/class/iommu") and os.listdir("/sys/class/iommu"):
        raise Skip("this machine has an IOMMU")
    address = any_endpoint()
    with defined(connection, domain_xml("bare", "pinned", devices=hostdev(address))) as domain:
        wait_ready("bare")
        text = refusal(domain)
        check(address in text and "iommu" in text.lower(), f"it does not say why: {text}")


@test("another device than when the profile was set: refused until it is set again")
def moved():
    address = any_endpoint()
    vendor, device = ids_of(address)
    with defined(connection, domain_xml("moved", "pinned", devices=hostdev(address))) as domain:
        wait_ready("moved")
        text = definition(domain)
        check(f'vendor="{vendor}" device="{device}"' in text.replace("'", '"'), "the ids are not saved")
        connection.defineXML(text.replace(device, "dead", 1) if text.count(device) == 1 else
                             text.replace(f"device='{device}'", "device='dead'"))
        wait_ready("moved")
        refused = refusal(domain)
        check("dead" in refused and device in refused, f"it does not name both: {refused}")
        profile_tool("set", "moved", "pinned")
        check("dead" not in definition(domain), "it is not forgotten")
        check(TAG_NS in definition(domain) and ready("moved"), "its profile is gone, or it is not ready")
        check("dead" not in refusal(domain), "it is still refused for that")
        run("vfio-profile", "unset", "moved")
        check("vfio-profile" not in definition(domain), "something is left in the definition")


main()
