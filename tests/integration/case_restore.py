# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that was saved elsewhere is pinned by this host's topology, and nothing else about it changes.

"Elsewhere" is made with libvirt's own save-image-define: the pins in the image
name a CPU that this machine does not have, or the one that the host keeps.
"""
import os
import re
import xml.etree.ElementTree as ET

import libvirt

from lib import (STATE_NS, Qemu, check, check_equal, check_same, connect, cpus_of_first_core, daemon, defined,
                 definition, domain_xml, has, main, need_cpus_beside_the_host, online_cpus, parse_cpus, pins,
                 profile_tool, stop, test, virsh, wait_ready)

IMAGE = "/var/lib/libvirt/saved.image"

connection = connect()


def host_neutral(text):
    """A running guest's document without its number, its pins and what the project keeps in metadata."""
    root = ET.fromstring(re.sub(r"domain-\d+-|/\d+-", "", text))
    root.attrib.pop("id", None)
    for path in ("cputune", "metadata"):
        for element in root.findall(path):
            root.remove(element)
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


def with_pins(text, cpu):
    """The image's document as another host would have written it."""
    text = re.sub(r"(<vcpupin vcpu='0' cpuset=')[^']*", rf"\g<1>{cpu}", text)
    return re.sub(r"(<emulatorpin cpuset=')[^']*", rf"\g<1>{cpu}", text)


def save_as_elsewhere(domain, cpu):
    domain.save(IMAGE)
    saved = connection.saveImageGetXMLDesc(IMAGE, libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
    connection.saveImageDefineXML(IMAGE, with_pins(saved, cpu))
    check_equal(pins(connection.saveImageGetXMLDesc(IMAGE)), {"0": str(cpu)}, "the pins in the image")


def restore_from(cpu):
    need_cpus_beside_the_host()
    name = f"from-cpu-{cpu}"
    with defined(connection, domain_xml(name, "nvidia")) as domain:
        wait_ready(name)
        here = pins(definition(domain))
        domain.create()
        before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
        save_as_elsewhere(domain, cpu)
        connection.restore(IMAGE)
        running = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
        check_equal({vcpu: parse_cpus(cpus) for vcpu, cpus in Qemu(name).vcpu_affinities().items()},
                    {0: parse_cpus(here["0"])}, "the CPUs of the vCPU threads after the restore")
        check_equal(pins(running), here, "vcpupin of the restored guest")
        check_same(host_neutral(running), host_neutral(before), "the restored guest, but for its pins")
        os.unlink(IMAGE)


@test("saved where it was pinned to a CPU that this machine does not have")
def missing_cpu():
    restore_from(max(online_cpus()) + 4)


@test("saved where it was pinned to the CPU that this host keeps for itself")
def host_cpu():
    restore_from(min(cpus_of_first_core()))


@test("saved and restored on the same host: the hook prints nothing, the domain is not tainted")
def same_host():
    with defined(connection, domain_xml("same", "nvidia")) as domain:
        wait_ready("same")
        domain.create()
        domain.save(IMAGE)
        connection.restore(IMAGE)
        with open("/var/log/libvirt/qemu/same.log") as file:
            check("tainted: hook" not in file.read(), "libvirt says that a hook changed the domain")
        check(pins(domain.XMLDesc()), "it is restored without pins")
        os.unlink(IMAGE)


@test("an untagged guest, saved and restored: untouched")
def untagged():
    with defined(connection, domain_xml("untagged")) as domain:
        domain.create()
        before = domain.XMLDesc()
        domain.save(IMAGE)
        connection.restore(IMAGE)
        check_same(host_neutral(domain.XMLDesc()), host_neutral(before), "the restored guest")
        check(STATE_NS not in domain.XMLDesc(), "there is state of ours in it")
        os.unlink(IMAGE)


@test("the daemon away: the restore is refused with advice, the image stays, and later it works")
def daemon_away():
    with defined(connection, domain_xml("away", "pinned")) as domain:
        wait_ready("away")
        domain.create()
        domain.save(IMAGE)
        daemon.kill()
        try:
            result = virsh("restore", IMAGE, ok=False)
            check("systemctl start vfio-profiled" in result.stderr, f"no advice in: {result.stderr}")
        finally:
            daemon.start()
        connection.restore(IMAGE)
        check(pins(domain.XMLDesc()), "it is restored without pins")
        os.unlink(IMAGE)


@test("a managed save: 'virsh start' restores it, pinned")
def managed_save():
    need_cpus_beside_the_host()
    with defined(connection, domain_xml("kept", "pinned")) as domain:
        wait_ready("kept")
        domain.create()
        domain.managedSave()
        domain.managedSaveDefineXML(with_pins(domain.managedSaveGetXMLDesc(), max(online_cpus()) + 4))
        domain.create()
        cpus = parse_cpus(Qemu("kept").vcpu_affinities()[0])
        check_equal(cpus, parse_cpus(pins(definition(domain))["0"]), "the CPUs of vCPU 0")
        stop(domain)


@test("a guest that was saved before its profile changed goes on as it was saved")
def profile_changed():
    for restore in ("image", "managed save"):
        with defined(connection, domain_xml("older", "pinned")) as domain:
            wait_ready("older")
            domain.create()
            if restore == "image":
                domain.save(IMAGE)
            else:
                domain.managedSave()
            profile_tool("set", "older", "nvidia")
            if restore == "image":
                connection.restore(IMAGE)
                os.unlink(IMAGE)
            else:
                domain.create()
            check(not has(domain.XMLDesc(), "features/kvm/hidden"), f"{restore}: what the guest sees was changed")
            check(has(definition(domain), "features/kvm/hidden"), f"{restore}: the definition is not the new one")
            stop(domain)


main()
