# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each way to edit a stored definition leads to a prepared one soon, with the edit in it."""
import time

from lib import (check, check_equal, connect, defined, definition, domain_xml, has, main, note, pins, plan, ready, test,
                 virsh, wait_ready, wait_until)

SECONDS = 10  # for an edit that is not noticed; the times are printed

connection = connect()

# virsh arguments behind the domain's name; a path that the definition must have (or, with "!", must not).
EDITS = [
    (("setvcpus", "2", "--maximum", "--config"), "vcpu"),
    (("setvcpus", "1", "--config"), "vcpu[@current='1']"),
    (("setvcpus", "2", "--config"), "vcpu"),
    (("setmaxmem", "96M", "--config"), "memory"),
    (("setmem", "64M", "--config"), "currentMemory"),
    (("attach-disk", "/none/a.img", "vda", "--config"), "devices/disk/target[@dev='vda']"),
    (("attach-disk", "/none/b.img", "vdb", "--config"), "devices/disk/target[@dev='vdb']"),
    (("blkdeviotune", "vda", "--total-iops-sec", "100", "--config"), "devices/disk/iotune/total_iops_sec"),
    (("detach-disk", "vdb", "--config"), "!devices/disk/target[@dev='vdb']"),
    (("iothreadadd", "1", "--config"), "iothreads"),
    (("iothreadadd", "2", "--config"), "iothreads"),
    (("iothreaddel", "1", "--config"), "!iothreadids/iothread[@id='1']"),
    (("schedinfo", "--config", "--set", "cpu_shares=3000"), "cputune/shares"),
    (("memtune", "--hard-limit", "1000000", "--config"), "memtune/hard_limit"),
    (("blkiotune", "--weight", "300", "--config"), "blkiotune/weight"),
    (("desc", "--title", "--config", "--new-desc", "A title"), "title"),
    (("desc", "--config", "--new-desc", "A text"), "description"),
    (("metadata", "urn:example:app", "--key", "app", "--set", "<a b='c'/>", "--config"),
     "metadata/{urn:example:app}a"),
    (("iothreadpin", "2", "0", "--config"), "cputune/iothreadpin"),
    (("vcpupin", "0", "0", "--config"), "cputune/vcpupin[@vcpu='0']"),
    (("emulatorpin", "0", "--config"), "cputune/emulatorpin"),
    (("numatune", "--mode", "strict", "--nodeset", "0", "--config"), "numatune/memory"),
]


def check_edit(domain, path):
    found = has(definition(domain), path.lstrip("!"))
    check(found != path.startswith("!"), f"after the rewrite {path} does not hold")


def check_pins(domain):
    """What stands is what the plan says, for the number of vCPUs that there is now."""
    wanted = {str(vcpu): cpus for vcpu, cpus in enumerate(plan(domain.name())["pins"]["vcpus"])}
    check_equal(pins(definition(domain)), wanted, "vcpupin")


@test(f"{len(EDITS)} kinds of --config edits, each noticed and prepared")
def each_kind():
    with defined(connection, domain_xml("edited", "nvidia")) as domain:
        wait_ready("edited")
        longest = 0.0
        for arguments, path in EDITS:
            virsh(arguments[0], "edited", *arguments[1:])
            begin = time.monotonic()
            wait_until(f"'{' '.join(arguments)}' led to a ready definition", lambda: ready("edited"), SECONDS)
            longest = max(longest, time.monotonic() - begin)
            check_edit(domain, path)
            check_pins(domain)
        note(f"the longest took {longest * 1000:.0f} ms, the question itself included")


@test("a device attached from a file, and updated")
def devices():
    with defined(connection, domain_xml("devices", "pinned")) as domain:
        wait_ready("devices")
        domain.attachDeviceFlags("<serial type='pty'/>", 2)
        domain.attachDeviceFlags("<interface type='user'><mac address='52:54:00:00:00:01'/></interface>", 2)
        domain.updateDeviceFlags(
            "<interface type='user'><mac address='52:54:00:00:00:01'/><link state='down'/></interface>", 2)
        wait_ready("devices", 1)
        text = definition(domain)
        check(has(text, "devices/serial") and has(text, "devices/interface/link[@state='down']"), "an edit is lost")


@test("a whole new definition in the place of the old one")
def redefined():
    with defined(connection, domain_xml("redefined", "pinned")) as domain:
        wait_ready("redefined")
        uuid = f"<uuid>{domain.UUIDString()}</uuid>"
        connection.defineXML(domain_xml("redefined", "nvidia", vcpus=2, head=uuid))
        wait_ready("redefined", 1)
        check_pins(domain)
        check(has(definition(domain), "features/kvm/hidden[@state='on']"), "the new profile is not applied")


@test("a renamed domain")
def renamed():
    with defined(connection, domain_xml("old-name", "pinned")) as domain:
        wait_ready("old-name")
        domain.rename("new-name", 0)
        virsh("setvcpus", "new-name", "2", "--maximum", "--config")
        wait_ready("new-name", 1)
        check_equal(len(pins(definition(domain))), 2, "pins after the rename and an edit")


@test("an undefined domain stays undefined")
def undefined():
    connection.defineXML(domain_xml("gone", "pinned")).undefine()
    wait_ready_of = connection.defineXML(domain_xml("later", "pinned"))
    wait_ready("later")
    wait_ready_of.undefine()
    time.sleep(0.3)
    check_equal(connection.listDefinedDomains(), [], "domains that are defined")


main()
