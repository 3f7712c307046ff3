# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-install, virt-clone and virt-xml: they know nothing of tags, and read, change and define whole documents."""
import contextlib
import os
import shutil
import sys
import xml.etree.ElementTree as ET

from lib import (STATE_NS, TAG_NS, LogWatch, Qemu, check, check_equal, check_same, connect, daemon, defined, definition,
                 domain_xml, has, is_running, main, note, pins, plan, profile_tool, ready, remove, run, test, virsh,
                 wait_ready, wait_until)

DISKS = "/run/home/disks"
CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
<address domain='0x0' bus='0x65' slot='0x0' function='0x0'/></source></hostdev>"""
MARKED_CARD = CARD.replace("<source>", "<alias name='ua-card-x-vga'/><source>")
# The recipe on a definition where each rule finds something of the user's to replace.
OWN_VALUES = {
    "head": "<description>a guest</description>"
            "<memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking>"
            "<iothreads>1</iothreads>"
            "<cputune><shares>2000</shares><vcpupin vcpu='0' cpuset='0-1'/><emulatorpin cpuset='0-1'/></cputune>",
    "features": "<hyperv mode='custom'><relaxed state='on'/></hyperv><kvm><hidden state='off'/></kvm>",
    "clock": "<clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>",
}

connection = connect()


def install(name, *arguments):
    """virt-install --import of a guest of type qemu."""
    return run("virt-install", "--import", "--virt-type", "qemu", "--osinfo", "generic", "--name", name,
               "--memory", "64", "--disk", "none", "--network", "user", "--graphics", "none", "--video", "none",
               "--memballoon", "none", "--noautoconsole", *arguments)


@contextlib.contextmanager
def installed(name, *arguments):
    install(name, *arguments)
    domain = connection.lookupByName(name)
    try:
        yield domain
    finally:
        remove(domain)


def tag_of(domain):
    element = ET.fromstring(definition(domain)).find(f"metadata/{{{TAG_NS}}}profile")
    return dict(element.attrib) if element is not None else None


def wait_tag(domain, wanted):
    wait_until(f"the tag is {wanted}", lambda: (tag_of(domain) or {}).get("name") == wanted, 10)


def wait_undone(domain):
    wait_until("tag and state are gone", lambda: "urn:vfio-profile:" not in definition(domain), 10)


def check_planned_pins(domain):
    wanted = {str(vcpu): cpus for vcpu, cpus in enumerate(plan(domain.name())["pins"]["vcpus"])}
    check_equal(pins(definition(domain)), wanted, f"vcpupin of '{domain.name()}'")


def set_memory(text, mib):
    return text.replace("<memory unit='KiB'>65536<", f"<memory unit='KiB'>{mib * 1024}<").replace(
        "<currentMemory unit='KiB'>65536<", f"<currentMemory unit='KiB'>{mib * 1024}<")


# --- virt-install ---------------------------------------------------------------


@test("virt-install --import with #vfio:pinned in the description: it runs at once, tuned from its next start on")
def install_and_start():
    # virt-install starts a transient domain, and defines it over that.
    log = LogWatch()
    with installed("inst", "--metadata", "title=A guest,description=#vfio:pinned") as domain:
        check(is_running(domain), "it does not run")
        check(not pins(domain.XMLDesc()), "a domain that was started before it was defined has pins")
        wait_tag(domain, "pinned")
        wait_ready("inst")
        log.wait_for("domain 'inst': prepared for 'pinned' (rule '10-hashtag')")
        check("is tuned from its next start on" in log.text(), "the log does not say from when on it is tuned")
        check_planned_pins(domain)
        domain.destroy()
        domain.create()
        check(pins(domain.XMLDesc()), "it is untuned at its second start")
        check_equal(Qemu("inst").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")


@test("virt-install --import --noreboot, then set: prepared before the first start; unset: as virt-install made it")
def install_then_set():
    with installed("inst", "--noreboot") as domain:
        check(not is_running(domain), "it runs")
        before = definition(domain)
        profile_tool("set", "inst", "nvidia")
        check(ready("inst") and has(definition(domain), "features/kvm/hidden[@state='on']"), "it is not prepared")
        domain.create()
        check(any(word.endswith("kvm=off") for word in Qemu("inst").option("-cpu")), "the hypervisor is not hidden")
        check_equal(Qemu("inst").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")
        domain.destroy()
        profile_tool("unset", "inst")
        check_same(definition(domain), before, "after unset")


@test("virt-install --print-xml through 'vfio-profile rewrite': defined as it is, and ready")
def install_print():
    with installed("model", "--noreboot", "--metadata", "description=#vfio:pinned") as model:
        wait_tag(model, "pinned")
    text = install("printed", "--print-xml", "--metadata", "description=#vfio:pinned").stdout
    rewritten = run("vfio-profile", "rewrite", stdin=text).stdout
    with defined(connection, rewritten) as domain:
        check(pins(definition(domain)), "rewrite did nothing")
        wait_ready("printed")
        check_equal(tag_of(domain), {"name": "pinned", "rule": "10-hashtag"}, "the tag")


# --- virt-clone -----------------------------------------------------------------


def clone(original, name):
    run("virt-clone", "--original", original, "--name", name, "--auto-clone")
    return connection.lookupByName(name)


@contextlib.contextmanager
def cloned(original, name):
    domain = clone(original, name)
    try:
        yield domain
    finally:
        remove(domain)


def uuid_and_mac(text):
    root = ET.fromstring(text)
    return [root.findtext("uuid"), *[mac.get("address") for mac in root.findall("devices/interface/mac")]]


def anonymous(text, name):
    """Without what a clone has of its own."""
    for number, own in enumerate(uuid_and_mac(text)):
        text = text.replace(own, f"own-{number}")
    return ET.canonicalize(text.replace(name, "NAME"), strip_text=True)


def full_domain(name, profile=None):
    # One vCPU and no core for the host: two such guests have room side by side on two CPUs.
    overrides = "<vfio:cpu reserve-cores='0'/><vfio:vga x-vga='on'/>"
    source = f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{DISKS}/{name}.img'/>" \
             "<target dev='sda' bus='sata'/></disk>"
    network = "<interface type='user'/>"
    return domain_xml(name, profile, overrides, machine="pc", devices=source + network + MARKED_CARD, **OWN_VALUES)


def make_disk(name):
    os.makedirs(DISKS, exist_ok=True)
    with open(f"{DISKS}/{name}.img", "wb") as file:
        file.truncate(1 << 20)


def check_own_state(domain, original):
    """The state speaks of this domain's originals and of what this one has: each slot's value stands in it."""
    text = definition(domain)
    state = ET.fromstring(text).find(f"metadata/{{{STATE_NS}}}state")
    wanted = {slot.get("place") for slot in
              ET.fromstring(definition(original)).findall(f"metadata/{{{STATE_NS}}}state/{{{STATE_NS}}}slot")}
    slots = {slot.get("place"): slot for slot in state.findall(f"{{{STATE_NS}}}slot")}
    check_equal(set(slots), wanted, "the places that the state tells of")
    pin = slots["cputune/vcpupin[@vcpu='0']"]
    check_equal(pin.find(f"{{{STATE_NS}}}was/vcpupin").get("cpuset"), "0-1", "the vcpupin that stood there")
    check_equal(pin.find(f"{{{STATE_NS}}}set/vcpupin").get("cpuset"), pins(text)["0"], "the vcpupin that stands there")


@test("virt-clone of a prepared domain: prepared, with CPUs of its own, and undone to what the original had")
def clone_prepared():
    for name in ("first", "plain"):
        make_disk(name)
    with defined(connection, full_domain("plain")) as plain, cloned("plain", "plain-2") as untouched, \
            defined(connection, full_domain("first", "nvidia vga")) as first:
        wait_ready("first")
        check_planned_pins(first)
        with cloned("first", "first-2") as second:
            wait_ready("first-2")
            wait_ready("first")
            text = definition(second)
            check(not set(uuid_and_mac(text)) & set(uuid_and_mac(definition(first))), "uuid or mac are the first one's")
            check_equal(ET.fromstring(text).find("devices/disk/source").get("file"), f"{DISKS}/first-2.img", "its disk")
            check_equal(tag_of(second), {"name": "nvidia vga"}, "its tag")
            for path in ("features/kvm/hidden[@state='on']", "devices/hostdev/alias[@name='ua-card-x-vga']"):
                check(has(text, path), f"it has no {path}")
            check(not has(text, "features/hyperv"), "Hyper-V is still there")
            for domain in (first, second):
                check_planned_pins(domain)
                check_own_state(domain, first)
            if len(os.sched_getaffinity(0)) > 1:
                wait_until("they have CPUs of their own",
                           lambda: pins(definition(first)) != pins(definition(second)), 5)

            profile_tool("unset", "first-2")
            check_same(anonymous(definition(second), "first-2"), anonymous(definition(untouched), "plain-2"),
                       "the clone after unset, against a clone of an untagged twin")
            # Nothing of that is the first one's business.
            wait_ready("first")
            check_planned_pins(first)
        profile_tool("unset", "first")
        check_same(anonymous(definition(first), "first"), anonymous(definition(plain), "plain"),
                   "the original after unset, against an untagged twin")


@test("a clone that is made while no daemon runs: undo without one, or prepared once one is there")
def clone_without_daemon():
    with defined(connection, domain_xml("first", "nvidia", vcpus=2, **OWN_VALUES)):
        wait_ready("first")
        with defined(connection, domain_xml("plain", vcpus=2, **OWN_VALUES)) as plain:
            before = anonymous(definition(plain), "plain")
        daemon.stop()
        try:
            with cloned("first", "second") as second:
                profile_tool("unset", "second")
                check_same(anonymous(definition(second), "second"), before, "the clone after unset without a daemon")
            third = clone("first", "third")
        finally:
            daemon.start()
        try:
            wait_ready("third")
            check_planned_pins(third)
            profile_tool("unset", "third")
            check_same(anonymous(definition(third), "third"), before, "the clone after unset")
        finally:
            remove(third)


@test("a clone of a domain that a rule tagged: the description comes along, the title does not, and undo follows")
def clone_of_rule():
    with defined(connection, domain_xml("by-text", head="<description>#vfio:pinned</description>")) as by_text, \
            defined(connection, domain_xml("by-title", head="<title>#vfio:nvidia</title>")) as by_title:
        for domain in (by_text, by_title):
            wait_until("it has a tag", lambda d=domain: tag_of(d), 10)
            wait_ready(domain.name())
        with cloned("by-text", "copy") as copy:
            wait_ready("copy")
            check_equal(tag_of(copy), {"name": "pinned", "rule": "10-hashtag"}, "the tag of the clone")
            virsh("desc", "copy", "--config", "--new-desc", "nothing")
            wait_undone(copy)
            check_equal(pins(definition(copy)), {}, "the clone's pins")
            check_equal(tag_of(by_text), {"name": "pinned", "rule": "10-hashtag"}, "the tag of the original")
        with cloned("by-title", "copy") as copy, defined(connection, domain_xml("twin")) as twin:
            wait_undone(copy)
            check_same(anonymous(definition(copy), "copy"), anonymous(definition(twin), "twin"),
                       "the clone without the title, against an untagged twin")


# --- virt-xml -------------------------------------------------------------------


def virt_xml(name, *arguments):
    return run("virt-xml", name, *arguments)


# virt-xml arguments; a path that the definition must have then (or, with "!", must not).
EDITS = [
    (("--edit", "--memory", "memory=96,currentMemory=96"), "memory"),
    (("--edit", "--vcpus", "2"), "vcpu"),
    (("--add-device", "--disk", f"{DISKS}/a.img,target.dev=sdb,target.bus=sata"), "devices/disk/target[@dev='sdb']"),
    (("--add-device", "--network", "user,mac=52:54:00:00:00:07"),
     "devices/interface/mac[@address='52:54:00:00:00:07']"),
    (("--edit", "target=sdb", "--disk", "cache=none"), "devices/disk/driver[@cache='none']"),
    (("--add-device", "--hostdev", "0000:65:00.0"), "devices/hostdev"),
    (("--edit", "--metadata", "title=A title,description=a text"), "title"),
    (("--edit", "--features", "kvm.hidden.state=off"), "features/kvm/hidden[@state='on']"),
    (("--edit", "--vcpus", "1"), "!cputune/vcpupin[@vcpu='1']"),
    (("--remove-device", "--disk", "target=sdb"), "!devices/disk/target[@dev='sdb']"),
    (("--remove-device", "--hostdev", "all"), "!devices/hostdev"),
    (("--edit", "--xml", "./devices/interface/link/@state=down"), "devices/interface/link[@state='down']"),
]


@test(f"virt-xml: {len(EDITS) - 1} edits and a card that is attached beside: kept, and prepared each time")
def edits():
    make_disk("a")
    with defined(connection, domain_xml("edited", "nvidia", **OWN_VALUES)) as domain, \
            defined(connection, domain_xml("twin", **OWN_VALUES)) as twin:
        wait_ready("edited")
        for arguments, path in EDITS:
            if "--hostdev" in arguments and "0000:65:00.0" in arguments:
                # Not by virt-xml, which takes only a device that this machine has.
                for each in (domain, twin):
                    each.attachDeviceFlags(CARD, 2)
            else:
                virt_xml("edited", *arguments)
                virt_xml("twin", *arguments)
            wait_ready("edited")
            check(has(definition(domain), path.lstrip("!")) != path.startswith("!"),
                  f"'{' '.join(arguments)}': {path} does not hold")
            check_planned_pins(domain)
        check_equal(ET.fromstring(definition(domain)).findtext("memory"), str(96 * 1024), "memory, KiB")
        profile_tool("unset", "edited")
        check_same(anonymous(definition(domain), "edited"), anonymous(definition(twin), "twin"),
                   "edited under the tag and undone, against an untagged twin")


@test("virt-xml writes a word into the description, and takes it out: prepared, and undone to the letter")
def word():
    with defined(connection, domain_xml("word", head="<description>a guest</description>")) as domain:
        before = definition(domain)
        virt_xml("word", "--edit", "--metadata", "description=#vfio:nvidia")
        wait_tag(domain, "nvidia")
        wait_ready("word")
        virt_xml("word", "--edit", "--metadata", "description=a guest")
        wait_undone(domain)
        check_same(definition(domain), before, "without the word")


@test("virt-xml --edit --define --start, on-stale=retry: whoever comes first, it ends running, edited and prepared")
def edit_and_start():
    with defined(connection, domain_xml("started", "pinned", "<vfio:start on-stale='retry'/>")) as domain:
        wait_ready("started")
        result = run("virt-xml", "started", "--edit", "--vcpus", "2", "--define", "--start", ok=None)
        if result.returncode != 0:
            check("vfio-profile:" in result.stderr, result.stderr)
            note(result.stderr[result.stderr.index("vfio-profile:"):].strip().splitlines()[0])
        wait_until("it runs", lambda: is_running(domain), 10)
        check_equal(len(pins(domain.XMLDesc())), 2, "the pins of the running guest")
        check_equal(Qemu("started").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")
        check(ready("started"), "it runs, but its definition is not prepared")


if not all(shutil.which(program) for program in ("virt-install", "virt-clone", "virt-xml")):
    print("1..0 # SKIP needs virtinst (Debian package)")
    sys.exit(0)
main()
