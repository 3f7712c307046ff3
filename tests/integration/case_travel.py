# SPDX-License-Identifier: LGPL-2.1-or-later
"""Definitions that leave as text and come back: into an editor, under another name, to another host."""
import contextlib
import os
import xml.etree.ElementTree as ET

from lib import (WRAPPERS, Qemu, check, check_equal, check_same, connect, daemon, defined, definition,
                 domain_xml, has, is_running, main, note, pins, plan, profile_tool, ready, remove, run, test, virsh,
                 wait_ready, wait_until)

# Another machine as hwloc's synthetic description: two packages and nodes, threads of a core n and n + 8.
OTHER_HOST = "pack:2 [numa(memory=8GiB)] l3:1 core:4 pu:2(indexes=0,8,1,9,2,10,3,11,4,12,5,13,6,14,7,15)"
MARKED_CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><alias name='ua-card-x-vga'/>
<source><address domain='0x0' bus='0x65' slot='0x0' function='0x0'/></source></hostdev>"""
OWN_VALUES = {
    "head": "<memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking>"
            "<cputune><shares>2000</shares><vcpupin vcpu='0' cpuset='0'/></cputune>",
    "features": "<hyperv mode='custom'><relaxed state='on'/></hyperv>",
    "clock": "<clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>",
}
PATH = "/run/sandbox/travel.xml"

connection = connect()


@contextlib.contextmanager
def other_host():
    """The daemon and the command line take this machine for another one."""
    os.environ["HWLOC_SYNTHETIC"] = OTHER_HOST
    daemon.restart()
    try:
        yield
    finally:
        del os.environ["HWLOC_SYNTHETIC"]
        daemon.restart()


def dump(name, *options):
    return virsh("dumpxml", name, "--inactive", "--security-info", *options).stdout


def define_text(text):
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)
    virsh("define", PATH)
    return connection.lookupByName(ET.fromstring(text).findtext("name"))


def planned_pins(name):
    return {str(vcpu): cpus for vcpu, cpus in enumerate(plan(name)["pins"]["vcpus"]) if cpus is not None}


def check_planned(domain):
    wait_ready(domain.name())
    check_equal(pins(definition(domain)), planned_pins(domain.name()), f"vcpupin of '{domain.name()}'")


def anonymous(text):
    root = ET.fromstring(text)
    for name in ("name", "uuid"):
        root.remove(root.find(name))
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


def virsh_edit(name, *scripts, ok=True):
    """virsh edit with sed as the editor."""
    words = " ".join(f"-e '{script}'" for script in scripts)
    return run("env", f"EDITOR=sed -i {words}", "virsh", "--quiet", "edit", name, ok=ok)


@test("virsh edit of a prepared definition: the edit is kept, tag, state and pins are as they should be")
def edit():
    with defined(connection, domain_xml("edited", "nvidia", vcpus=1, **OWN_VALUES)) as domain, \
            defined(connection, domain_xml("twin", vcpus=1, **OWN_VALUES)) as twin:
        wait_ready("edited")
        edits = [
            ["s/65536/98304/"],
            ["s,<vcpu placement=.static.>1<,<vcpu placement=\"static\">2<,"],
            ["s,</devices>,<serial type=\"pty\"/></devices>,"],
            ["/<shares>/d", "s,<on_crash>destroy,<on_crash>restart,"],
        ]
        for scripts in edits:
            for name in ("edited", "twin"):
                virsh_edit(name, *scripts)
            check_planned(domain)
        text = definition(domain)
        check_equal(ET.fromstring(text).findtext("memory"), "98304", "memory, KiB")
        check(has(text, "devices/serial") and not has(text, "cputune/shares"), "an edit is lost")
        check_equal(len(pins(text)), 2, "pins")
        # Somebody pins by hand what we pin: the user's value is the original from now on.
        for name in ("edited", "twin"):
            virsh_edit(name, "/<state:state/,/<.state:state>/b",
                       "s,<vcpupin vcpu=.0. [^>]*>,<vcpupin vcpu=\"0\" cpuset=\"0-1\"/>,")
        check_planned(domain)
        profile_tool("unset", "edited")
        check_same(anonymous(definition(domain)), anonymous(definition(twin)), "after unset, against an untagged twin")


@test("virsh edit takes the tag out and leaves the state: undone to the letter")
def edit_tag_away():
    with defined(connection, domain_xml("edited", "nvidia", **OWN_VALUES)) as domain, \
            defined(connection, domain_xml("twin", **OWN_VALUES)) as twin:
        wait_ready("edited")
        virsh_edit("edited", "/<vfio:profile /d")
        wait_until("tag and state are gone", lambda: "urn:vfio-profile:" not in definition(domain), 10)
        check_same(anonymous(definition(domain)), anonymous(definition(twin)), "without the tag, against a twin")


@test("dumpxml, undefine, define: the same prepared definition, and the same undo")
def there_and_back():
    domain = connection.defineXML(domain_xml("travels", "nvidia", **OWN_VALUES))
    with defined(connection, domain_xml("twin", **OWN_VALUES)) as twin:
        untouched = anonymous(definition(twin))
    wait_ready("travels")
    prepared = definition(domain)
    text = dump("travels")
    domain.undefine()
    domain = define_text(text)
    try:
        wait_ready("travels")
        check_same(definition(domain), prepared, "defined again")
        profile_tool("unset", "travels")
        check_same(anonymous(definition(domain)), untouched, "after unset")
    finally:
        remove(domain)


@test("stale copies put back: one from before an edit, one from before the tag, one of a tag that was taken away")
def stale_copies():
    with defined(connection, domain_xml("stale", **OWN_VALUES)) as domain:
        untouched = dump("stale")
        canonical = anonymous(definition(domain))
        profile_tool("set", "stale", "nvidia")
        wait_ready("stale")
        prepared = dump("stale")
        virsh("setvcpus", "stale", "2", "--maximum", "--config")
        virsh("setmaxmem", "stale", "96M", "--config")
        check_planned(domain)
        define_text(prepared)
        check_planned(domain)
        check_equal(len(pins(definition(domain))), 1, "pins, as there is one vCPU again")
        define_text(untouched)
        wait_until("tag and state are gone", lambda: "urn:vfio-profile:" not in definition(domain), 10)
        check_same(anonymous(definition(domain)), canonical, "the copy from before the tag")
        define_text(prepared)
        check_planned(domain)
        check(has(definition(domain), "features/kvm/hidden[@state='on']"), "the tag that is back does nothing")
        profile_tool("unset", "stale")
        check_same(anonymous(definition(domain)), canonical, "after unset")


@test("a prepared definition on another host: prepared for that one, and undone to what it was on the first")
def other():
    domain = connection.defineXML(domain_xml("travels", "nvidia", vcpus=4, **OWN_VALUES))
    with defined(connection, domain_xml("twin", vcpus=4, **OWN_VALUES)) as twin:
        untouched = anonymous(definition(twin))
    wait_ready("travels")
    text = dump("travels")
    here = pins(text)
    domain.undefine()
    with other_host():
        domain = define_text(text)
        try:
            check_planned(domain)
            there = pins(definition(domain))
            note(f"{here} here, {there} there")
            check_equal(len(there), 4, "pins")
            used = {int(cpus) for cpus in there.values()}
            check_equal(len(used), 4, f"CPUs in {there}")
            check_equal(len({cpu % 8 for cpu in used}), 4, f"cores of {used}")  # a core for each, as there is room
            nodes = {0 if cpu % 8 < 4 else 1 for cpu in used}
            check_equal(len(nodes), 1, f"NUMA nodes of {used}")
            check_equal(ET.fromstring(definition(domain)).find("numatune/memory").get("nodeset"), str(nodes.pop()),
                        "the memory's node")
            back = dump("travels")
            profile_tool("unset", "travels")
            check_same(anonymous(definition(domain)), untouched, "after unset on the other host")
        finally:
            remove(domain)
    # And home again, with the other host's values as if they were its own.
    domain = define_text(back)
    try:
        check_planned(domain)
        check_equal(pins(definition(domain)), here, "the pins at home")
        check(not has(definition(domain), "numatune"), "the other host's numatune is still there")
        profile_tool("unset", "travels")
        check_same(anonymous(definition(domain)), untouched, "after unset at home")
    finally:
        remove(domain)


@test("a copy under another name beside the original: each is undone for itself")
def copy():
    with defined(connection, domain_xml("one", "nvidia", "<vfio:cpu reserve-cores='0'/>", **OWN_VALUES)) as one, \
            defined(connection, domain_xml("twin", **OWN_VALUES)) as twin:
        wait_ready("one")
        root = ET.fromstring(dump("one"))
        root.remove(root.find("uuid"))
        root.find("name").text = "other"
        copied = define_text(ET.tostring(root, encoding="unicode"))
        try:
            check_planned(copied)
            check_planned(one)
            virsh("setmem", "other", "32M", "--config")
            check_planned(copied)
            for domain in (copied, one):
                profile_tool("unset", domain.name())
            virsh("setmem", "other", "64M", "--config")
            for domain in (copied, one):
                check_same(anonymous(definition(domain)), anonymous(definition(twin)), f"'{domain.name()}' after unset")
        finally:
            remove(copied)


@test("a tag of a rule, or a profile, that the other host does not have")
def unknown_there():
    with defined(connection, domain_xml("twin", **OWN_VALUES)) as twin:
        untouched = anonymous(definition(twin))
    with defined(connection, domain_xml("model", "nvidia", **OWN_VALUES)):
        wait_ready("model")
        text = dump("model")
    by_rule = define_text(text.replace('name="nvidia"', 'name="nvidia" rule="99-there"'))
    try:
        wait_until("it is undone", lambda: "urn:vfio-profile:" not in definition(by_rule), 10)
        check_same(anonymous(definition(by_rule)), untouched, "undone")
    finally:
        remove(by_rule)
    unknown = define_text(text.replace('name="nvidia"', 'name="studio"'))
    try:
        wait_until("the status names the profile", lambda: "studio" in profile_tool("status", "model").stdout, 10)
        virsh("start", "model", ok=False)
        check_same(definition(unknown).count("<state:slot"), text.count("<state:slot"), "slots of the state")
        profile_tool("unset", "model")
        check_same(anonymous(definition(unknown)), untouched, "after unset")
    finally:
        remove(unknown)


@test("a definition that names the wrapper, on a host that never had such a guest: defined, prepared, undone")
def wrapper():
    with defined(connection, domain_xml("card", machine="pc", devices=MARKED_CARD, **OWN_VALUES)) as twin:
        untouched = anonymous(definition(twin))
    tagged = domain_xml("card", "pinned vga", machine="pc", devices=MARKED_CARD, **OWN_VALUES)
    with defined(connection, tagged) as first:
        wait_ready("card")
        text = dump("card")
        emulator = ET.fromstring(definition(first)).findtext("devices/emulator")
        check_equal(os.path.dirname(emulator), WRAPPERS, "the emulator's folder")
    daemon.stop()
    for name in os.listdir(WRAPPERS):
        os.unlink(f"{WRAPPERS}/{name}")
    daemon.start()
    domain = define_text(text)
    try:
        check_planned(domain)
        check_equal(ET.fromstring(definition(domain)).findtext("devices/emulator"), emulator, "the emulator")
        profile_tool("unset", "card")
        check_same(anonymous(definition(domain)), untouched, "after unset")
    finally:
        remove(domain)


@test("virsh 'define; start' in one connection with on-stale=retry: it ends running and prepared")
def define_and_start():
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(domain_xml("retried", "nvidia", "<vfio:start on-stale='retry'/>"))
    refused = 0
    for _attempt in range(10):
        result = virsh(f"define {PATH}; start retried", ok=None)
        domain = connection.lookupByName("retried")
        try:
            if result.returncode != 0:
                refused += 1
                check("vfio-profile: domain 'retried'" in result.stderr, result.stderr)
            wait_until("it runs", lambda: is_running(domain), 10)
            check(pins(domain.XMLDesc()) and ready("retried"), "it runs unprepared")
            check(any(word.endswith("kvm=off") for word in Qemu("retried").option("-cpu")), "KVM is not hidden")
            check_equal(Qemu("retried").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")
        finally:
            remove(domain)
    note(f"{refused} of 10 starts came before the daemon, and were repeated by it")


main()
