# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guest NUMA cells. This machine has one node as a rule, so the hosts are synthetic: the
command line makes the definitions, and the real libvirtd says what it thinks of them."""
import contextlib
import json
import os
import shutil
import tempfile
import xml.etree.ElementTree as ET

from lib import (Qemu, Skip, check, check_equal, check_same, connect, defined, definition, domain_xml, has, main, note,
                 profile_tool, run, test, virsh, wait_ready, without_daemon,
                 without_state)

NODES = {
    "two": "pack:2 [numa(memory=68719476736)] l3:2 core:4 pu:2",
    "four": "pack:2 numa:2(memory=34359738368) l3:1 core:4 pu:2",
    "eight": "pack:2 numa:4(memory=17179869184) l3:2 core:2 pu:2",
}
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
# Recorded, with the distances between its nodes; few of its CPUs are allowed.
NODES["rated"] = os.path.join(DATA, "hosts", "17b_amd-cgroup2-disallowed-kept_4xopteron-6134.xml")
EXPOSE = "<vfio:cpu numa='expose'/>"
MATCH = "<vfio:cpu numa='expose' topology='match'/>"
SYSFS = os.path.join(DATA, "sysfs", "numa-2node")
CPU = "<cpu mode='host-model'/>"

connection = connect()


@contextlib.contextmanager
def file_with(text):
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(text)
        file.flush()
        yield file.name


def rewrite(text, topology, *options):
    with file_with(text) as path:
        return profile_tool("rewrite", "--topology", topology, *options, path).stdout


def validate(text):
    """By the schema; by libvirt at define, see `keep`."""
    if shutil.which("virt-xml-validate") is None:
        note("virt-xml-validate is not installed (libvirt-clients)")
        return
    with file_with(text) as path:
        run("virt-xml-validate", path, "domain")


@contextlib.contextmanager
def kept(text):
    """Defined with all checks, and nothing else is on it: what libvirt wrote."""
    name = ET.fromstring(text).findtext("name")
    with file_with(text) as path:
        virsh("define", "--validate", path)
    domain = connection.lookupByName(name)
    try:
        yield definition(domain)
    finally:
        domain.undefine()


def canonical(text):
    """libvirt's own form of a document without a tag."""
    with kept(text) as written:
        return written


def check_unchanged(written, topology):
    """What libvirt wrote needs nothing more, on the host that it was made for."""
    again = rewrite(written, topology)
    check_same(ET.canonicalize(again), ET.canonicalize(written), "rewritten once more, in libvirt's own form")


def elements(text, path):
    """Attributes; but clusters='1', which libvirt adds to a topology since 10.1."""
    return [sorted(set(element.attrib.items()) - {("clusters", "1")}) for element in ET.fromstring(text).findall(path)]


CELLS = ("cpu/numa/cell", "cpu/numa/cell/distances/sibling", "numatune/memory", "numatune/memnode",
         "memoryBacking/hugepages/page", "cpu/topology")


def untagged(text):
    """Without the tag, and so nothing that the daemon would look after."""
    begin, end = text.index("<metadata>"), text.index("</metadata>") + len("</metadata>")
    return text[:begin] + text[end:]


def check_shape(host, n_cells, overrides=EXPOSE, cpu="", **what):
    """A definition comes through libvirt whole, is right then, and is what it was without the tag."""
    original = domain_xml("cells", "pinned", overrides, **what).replace("<devices>", cpu + "<devices>", 1)
    topology = NODES[host]
    plain = canonical(untagged(original))
    prepared = rewrite(original, topology)
    validate(prepared)
    check_equal(len(ET.fromstring(prepared).findall("cpu/numa/cell")), n_cells, "number of cells")
    # The daemon knows this machine, which is not the one that it is for.
    with without_daemon(), kept(prepared) as written:
        for path in CELLS:
            check_equal(elements(written, path), elements(prepared, path), path)
        total = sum(int(cell.get("memory")) for cell in ET.fromstring(written).findall("cpu/numa/cell"))
        check(n_cells == 0 or int(ET.fromstring(written).findtext("memory")) == total, "the cells are not the memory")
        check_unchanged(written, topology)
        undone = untagged(rewrite(written, topology, "--undo"))
    check_same(strip(canonical(undone)), strip(plain), "undone, against the original")
    return prepared


def strip(text):
    """Comparable: libvirt gives each define another UUID."""
    root = ET.fromstring(without_state(text))
    root.remove(root.find("uuid"))
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


@test("two nodes, no <cpu> at all: two cells, through libvirt and back")
def two_nodes():
    check_shape("two", 2, vcpus=24, mib=24576)


@test("two nodes, a topology that matches: no cell is split")
def two_nodes_match():
    prepared = check_shape("two", 2, MATCH, CPU, vcpus=32, mib=32768)
    check_equal(elements(prepared, "cpu/topology")[0],
                [("cores", "4"), ("dies", "2"), ("sockets", "2"), ("threads", "2")], "topology")


@test("the user's own topology stays beside the cells")
def two_nodes_keep():
    cpu = "<cpu mode='host-model'><topology sockets='1' dies='1' cores='12' threads='2'/></cpu>"
    prepared = check_shape("two", 2, MATCH, cpu, vcpus=24, mib=24576)
    check_equal(dict(elements(prepared, "cpu/topology")[0])["cores"], "12", "cores")


@test("four nodes: memory that does not come out even, in 2 MiB pages")
def four_nodes():
    prepared = check_shape("four", 3, vcpus=20, mib=10002)
    check(all(int(dict(cell)["memory"]) % 2048 == 0 for cell in elements(prepared, "cpu/numa/cell")),
          "a cell is no multiple of a hugepage")


@test("four nodes, pages of 1G by the profile: every cell has whole ones")
def four_nodes_gigabytes():
    prepared = check_shape("four", 3, MATCH + "<vfio:memory page-size='1G'/>", CPU, vcpus=20, mib=10240)
    check(all(int(dict(cell)["memory"]) % 1048576 == 0 for cell in elements(prepared, "cpu/numa/cell")),
          "a cell is no multiple of 1G")
    check_equal(elements(prepared, "memoryBacking/hugepages/page"), [[("size", "1048576"), ("unit", "KiB")]], "pages")


@test("eight nodes, all of them: eight cells")
def eight_nodes():
    check_shape("eight", 8, MATCH, CPU, vcpus=64, mib=65536)
    check_shape("eight", 8, vcpus=64, mib=65536)


@test("the distances of the host's nodes are the cells'")
def distances():
    prepared = check_shape("rated", 2, vcpus=5, mib=2048)
    check_equal([dict(one)["value"] for one in elements(prepared, "cpu/numa/cell/distances/sibling")],
                ["10", "16", "16", "10"], "distances")


@test("fewer vCPUs at the start than at most, iothreads and memory off hugepages: cells hold all, those that run first")
def more_later():
    with_less = domain_xml("cells", "pinned", EXPOSE + "<vfio:memory page-size='off'/>", vcpus=24, mib=24576,
                           head="<currentMemory unit='MiB'>20480</currentMemory><iothreads>2</iothreads>")
    with_less = with_less.replace("<vcpu placement='static'>", "<vcpu placement='static' current='20'>")
    prepared = rewrite(with_less, NODES["two"])
    validate(prepared)
    with without_daemon(), kept(prepared) as written:
        check_unchanged(written, NODES["two"])
        check_equal([dict(cell)["cpus"] for cell in elements(written, "cpu/numa/cell")], ["0-3,20-23", "4-19"], "vCPUs")
        check(has(written, "vcpu[@current='20']"), "the vCPUs at the start are gone")
        check_equal(ET.fromstring(written).findtext("currentMemory"), str(20480 * 1024), "currentMemory")


@test("what libvirt does with more vCPUs, which are off, is right; memory it does not let change")
def set_vcpus():
    prepared = rewrite(domain_xml("cells", "pinned", EXPOSE, vcpus=24, mib=24576), NODES["two"])
    with without_daemon(), kept(prepared):
        virsh("setvcpus", "cells", "28", "--maximum", "--config")
        written = definition(connection.lookupByName("cells"))
        check_equal(elements(written, "cpu/numa/cell")[0][0], ("cpus", "0-7,24-27"), "vCPUs of cell 0, by libvirt")
        again = rewrite(written, NODES["two"])
        check_equal([dict(cell)["cpus"] for cell in elements(again, "cpu/numa/cell")], ["0-7,24-27", "8-23"], "vCPUs")
        check(not has(rewrite(written, NODES["two"], "--undo"), "cpu/numa"), "cells of ours are left")
        virsh("setmaxmem", "cells", "32G", "--config", ok=False)


@test("pluggable memory keeps the domain's own cells, and its modules")
def pluggable():
    cell = "<cpu><numa><cell id='0' cpus='0-23' memory='24576' unit='MiB'/></numa></cpu>"
    dimm = """<memory model='dimm'><target><size unit='MiB'>1024</size><node>0</node></target></memory>"""
    original = domain_xml("cells", "pinned", EXPOSE, vcpus=24, mib=25600, devices=dimm,
                          head="<maxMemory slots='4' unit='MiB'>65536</maxMemory>")
    original = original.replace("<devices>", cell + "<devices>", 1)
    prepared = rewrite(original, NODES["two"])
    validate(prepared)
    check(not has(prepared, "numatune/memnode"), "cells of the user's are bound")
    with without_daemon(), kept(prepared) as written:
        check_equal(dict(elements(written, "cpu/numa/cell")[0])["cpus"], "0-23", "the cell's vCPUs")
        check(has(written, "devices/memory"), "the module is gone")
        check_unchanged(written, NODES["two"])


@test("a guest with two cells starts: QEMU has them, each with its memory and its node")
def starts():
    original = domain_xml("cells", "pinned", EXPOSE + "<vfio:memory page-size='off'/>", vcpus=24, mib=192)
    text = rewrite(original, NODES["two"])
    # Of that host only the cells: this one has other CPUs, and one node for both.
    root = ET.fromstring(untagged(text))
    root.remove(root.find("cputune"))
    for element in root.findall("numatune/*"):
        element.set("nodeset", "0")
    if not os.path.exists("/sys/devices/system/node/node0"):
        raise Skip("this kernel has no NUMA nodes, so libvirt takes no nodeset")
    with defined(connection, ET.tostring(root, encoding="unicode")) as domain:
        domain.create()
        guest = Qemu("cells")
        check_equal(guest.option("-numa"), ["node,nodeid=0,cpus=0-7,memdev=ram-node0",
                                            "node,nodeid=1,cpus=8-23,memdev=ram-node1"], "-numa")
        memory = [json.loads(word) for word in guest.option("-object") if "ram-node" in word]
        check_equal([one["size"] >> 20 for one in memory], [64, 128], "MiB of the cells")
        check_equal([(one["host-nodes"], one["policy"]) for one in memory], [([0], "bind")] * 2, "nodes of the cells")
        domain.destroy()


@test("cells of the user's own, bound to a node: they stay, and the guest starts")
def own_cells():
    if not os.path.exists("/sys/devices/system/node/node0"):
        raise Skip("this kernel has no NUMA nodes, so libvirt takes no nodeset")
    tune = "<numatune><memory mode='strict' nodeset='0'/>" + "".join(
        f"<memnode cellid='{cell}' mode='strict' nodeset='0'/>" for cell in (0, 1)) + "</numatune>"
    cpu = "<cpu><numa>" + "".join(
        f"<cell id='{cell}' cpus='{cell}' memory='64' unit='MiB'/>" for cell in (0, 1)) + "</numa></cpu>"
    original = domain_xml("cells", "pinned", "<vfio:memory page-size='off'/>", vcpus=2, mib=128, head=tune)
    with defined(connection, original.replace("<devices>", cpu + "<devices>", 1)) as domain:
        wait_ready("cells")
        written = definition(domain)
        check_equal([dict(one)["nodeset"] for one in elements(written, "numatune/memnode")], ["0", "0"], "memnode")
        check(has(written, "cputune/vcpupin[@vcpu='1']"), "its vCPUs are not pinned")
        domain.create()
        memory = [json.loads(word) for word in Qemu("cells").option("-object") if "ram-node" in word]
        check_equal([(one["host-nodes"], one["policy"]) for one in memory], [([0], "bind")] * 2, "nodes of the cells")
        domain.destroy()


@test("numa = expose where a guest fits: the daemon prepares it, it starts, there are no cells")
def fits():
    with defined(connection, domain_xml("cells", "pinned", EXPOSE)) as domain:
        wait_ready("cells")
        check(not has(definition(domain), "cpu/numa"), "there are cells")
        domain.create()
        check_equal(Qemu("cells").option("-numa"), [], "-numa")


@test("a card draws its guest to its node; a larger one is told of both")
def card():
    device = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
<address domain='0' bus='0x41' slot='0' function='0'/></source></hostdev>"""
    for vcpus, nodes, cells in ((4, "1", 0), (24, "0-1", 2)):
        text = domain_xml("cells", "pinned", EXPOSE, vcpus=vcpus, mib=vcpus * 1024, devices=device)
        with file_with(text) as path:
            options = ("--topology", NODES["two"], "--sysfs", SYSFS, "--file", path)
            found = json.loads(profile_tool("plan", "--json", *options).stdout)
            shown = profile_tool("plan", *options).stdout
        check_equal(found["pins"]["node"], nodes, "nodes of the memory")
        check("beside 0000:41:00.0" in found["placement"]["summary"], f"the card is not named: {found['placement']}")
        check(found["placement"]["summary"] in shown, f"the plan for people says something else:\n{shown}")
        check_equal({int(cpu) // 16 for cpu in found["pins"]["vcpus"]}, {0, 1} if cells else {1}, "nodes of the vCPUs")
        made = [change for change in found["changes"] if change["path"] == "cpu/numa"]
        check_equal(len(made), min(cells, 1), "changes of cpu/numa")
        check_equal(made[0]["to"].count("<cell ") if made else 0, cells, "cells")


main()
