# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest sees from inside is what its host CPUs are: siblings, L3 caches, NUMA cells.

A Linux boots in each guest, under emulation, and prints what it found. One guest is
this machine's and goes the whole way, through the daemon. The others are rewritten
for machines that this one is not; their definitions are held against libvirt as
they are, and boot without what only those hosts have.
"""
import os
import xml.etree.ElementTree as ET

import libvirt

from guest.boot import bootable_xml, prepare, wait_for_guest
from guest.hosts import Host
from lib import (Qemu, Skip, check, check_equal, connect, defined, definition, main, note, online_cpus,
                 parse_cpus, pins, remove, run, test, wait_ready, without_daemon,
                 without_tag)

# Of Intel: under emulation QEMU shows no threads on AMD's. Not checked, because it lacks features of it as well.
MODEL = "<cpu mode='custom' match='exact' check='none'><model>Skylake-Client</model>{}</cpu>"

connection = connect()


# --- what shares what, as a sorted list of groups --------------------------------------


def partition(numbers, key):
    """The numbers, grouped by the key."""
    groups = {}
    for number in sorted(numbers):
        groups.setdefault(key(number), []).append(number)
    return sorted(groups.values())


def seen_partition(seen, key):
    """What the guest's own lists say; they must agree with each other."""
    groups = {cpu: sorted(parse_cpus(values.get(key, ""))) for cpu, values in seen.cpus.items()}
    for cpu, group in groups.items():
        check(cpu in group and all(groups.get(other) == group for other in group), f"{key} in the guest: {groups}")
    return sorted(group for cpu, group in groups.items() if cpu == group[0])


def topology_of(text):
    """{sockets, dies, cores, threads: number} of a document."""
    found = ET.fromstring(text).find("cpu/topology")
    check(found is not None, "the document has no topology")
    return {key: int(found.get(key, "1")) for key in ("sockets", "dies", "cores", "threads")}


def check_guest_sees_topology(seen, text):
    """QEMU numbers vCPUs thread by thread, core by core, die by die."""
    topology = topology_of(text)
    vcpus = range(int(ET.fromstring(text).findtext("vcpu")))
    check_equal(sorted(seen.cpus), list(vcpus), "the guest's CPUs")
    size = 1
    for inner, key in (("threads", "core_cpus"), ("cores", "die_cpus"), ("dies", "package_cpus")):
        size *= topology[inner]
        check_equal(seen_partition(seen, key), partition(vcpus, lambda vcpu: vcpu // size), f"{key} in the guest")
    check_equal(size * topology["sockets"], len(vcpus), "CPUs of the topology")
    ids = {(cpu["package"], cpu["die"], cpu["core"]) for cpu in seen.cpus.values()}
    check_equal(len(ids), len(vcpus) // topology["threads"], "cores by their numbers in the guest")
    check_equal(len({cpu["package"] for cpu in seen.cpus.values()}), topology["sockets"], "packages in the guest")
    check_equal(len({(cpu["package"], cpu["die"]) for cpu in seen.cpus.values()}),
                topology["sockets"] * topology["dies"], "dies in the guest")


def note_seen(seen):
    """For who reads the log."""
    for key in ("core_cpus", "l3_cpus", "package_cpus"):
        note(f"{key}: " + " ".join(dict.fromkeys(cpu.get(key, "none") for cpu in seen.cpus.values())))
    note("nodes: " + " ".join(f"{node}: {values['cpus']} with {values['kib']} KiB"
                              for node, values in seen.nodes.items()))
    note("hypervisor: " + " ".join(f"{key} {value}" for key, value in seen.hypervisor.items()))


# --- this machine, through the daemon ------------------------------------------------


def host_siblings(cpu):
    with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as file:
        return frozenset(parse_cpus(file.read()))


@test("prepared by the daemon: the guest sees as siblings what its vCPU threads run on")
def this_machine():
    prepare()
    count = min(len(online_cpus()), 4)
    xml = bootable_xml("here", profile="gaming", vcpus=count, mib=192, head=MODEL.format(""))
    with defined(connection, xml) as domain:
        wait_ready("here")
        text = definition(domain)
        note(f"topology: {topology_of(text)}, pins: {pins(text)}")
        domain.create()
        affinities = {vcpu: parse_cpus(cpus) for vcpu, cpus in Qemu("here").vcpu_affinities().items()}
        seen = wait_for_guest(domain)
    note_seen(seen)
    check_equal(affinities, {int(vcpu): parse_cpus(cpus) for vcpu, cpus in pins(text).items()},
                "the CPUs of the vCPU threads in /proc")
    check(all(len(cpus) == 1 for cpus in affinities.values()), f"a vCPU has not one CPU: {affinities}")
    check_equal(len(set().union(*affinities.values())), count, "CPUs of all vCPUs together")
    check_guest_sees_topology(seen, text)
    if topology_of(text)["threads"] > 1 or all(len(host_siblings(cpu)) == 1 for cpu in online_cpus()):
        check_equal(seen_partition(seen, "core_cpus"),
                    partition(range(count), lambda vcpu: host_siblings(min(affinities[vcpu]))),
                    "cores in the guest against those of the host")


# --- other machines --------------------------------------------------------------------


class Shape:
    """A guest for one of those machines. `own`: the <topology> that its definition has already."""

    def __init__(self, name, host, vcpus, topology, own="", overrides="", mib=192):
        self.name, self.host, self.vcpus, self.topology = name, host, vcpus, topology
        self.own, self.overrides, self.mib = own, overrides, mib

    def rewritten(self):
        xml = bootable_xml(self.name, profile="gaming", overrides=self.overrides, vcpus=self.vcpus, mib=self.mib,
                           head=MODEL.format(self.own))
        return run("vfio-profile", "rewrite", "--topology", self.host.synthetic(), stdin=xml).stdout

    def exposes(self):
        return "expose" in self.overrides


EXPOSE = "<vfio:cpu numa='expose' reserve-cores='{}'/>"
OWN_SOCKETS = "<topology sockets='2' dies='1' cores='2' threads='2'/>"
SHAPES = {
    "1 socket, 4 cores, 2 threads":
        Shape("smt", Host(cores=6, siblings_far=True), 8, (1, 1, 4, 2)),
    "2 L3s are shown as 2 dies":
        Shape("dies", Host(l3s=3, cores=2, siblings_far=True), 8, (1, 2, 2, 2)),
    "a host without SMT: 4 cores, 1 thread":
        Shape("single", Host(cores=6, threads=1), 4, (1, 1, 4, 1)),
    "2 sockets, which the user wrote, stay, and their threads are siblings":
        Shape("sockets", Host(packages=2, cores=5), 8, (2, 1, 2, 2), own=OWN_SOCKETS),
    "larger than a node: a NUMA cell for each, with its CPUs, cache and memory":
        Shape("cells", Host(packages=2, cores=2, node_gib=8), 8, (2, 1, 2, 2), overrides=EXPOSE.format(0), mib=256),
    "cells of unlike sizes, since the host keeps a core":
        Shape("unlike", Host(packages=2, cores=3, node_gib=8, siblings_far=True), 8, (1, 1, 4, 2),
              overrides=EXPOSE.format(1), mib=256),
}


def check_validates(text):
    path = "/run/sandbox/rewritten.xml"
    with open(path, "w") as file:
        file.write(text)
    run("virt-xml-validate", path, "domain")


def check_define_keeps(text):
    """libvirt takes the whole document, validated, and keeps what is ours of it."""
    # It would plan a tagged definition for this machine, in place of the one that it was made for.
    with without_daemon():
        domain = connection.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        try:
            kept = definition(domain)
        finally:
            remove(domain)
    check_equal(pins(kept), pins(text), "the pins that libvirt kept")
    check_equal(topology_of(kept), topology_of(text), "the topology that libvirt kept")
    check_equal(cells_of(kept), cells_of(text), "the cells that libvirt kept")
    check_equal(memory_nodes_of(kept), memory_nodes_of(text), "the memory's nodes that libvirt kept")


def without_host(text):
    """The document without the tag, which the daemon would follow on this machine, and without what names
    CPUs and nodes of the host, which this machine may not have: all the rest is as it was made."""
    root = ET.fromstring(without_tag(text))
    for name in ("cputune", "numatune"):
        for element in root.findall(name):
            root.remove(element)
    return ET.tostring(root, encoding="unicode")


UNITS_KIB = {"KiB": 1, "MiB": 1024, "GiB": 1024 * 1024}


def cells_of(text):
    """[(vCPUs, KiB)] of the guest's NUMA cells."""
    return [(frozenset(parse_cpus(cell.get("cpus"))), int(cell.get("memory")) * UNITS_KIB[cell.get("unit", "KiB")])
            for cell in sorted(ET.fromstring(text).findall("cpu/numa/cell"), key=lambda cell: int(cell.get("id")))]


def memory_nodes_of(text):
    """{cell: host nodes}."""
    return {int(node.get("cellid")): parse_cpus(node.get("nodeset"))
            for node in ET.fromstring(text).findall("numatune/memnode")}


def check_cells(seen, text, shape):
    """Cells in the guest are as in the document, and each is on one package, with the memory of that node."""
    cells = cells_of(text)
    if not shape.exposes():
        check_equal(cells, [], "cells that nobody asked for")
        return
    check_equal(len(cells), shape.host.packages, "cells")
    check_equal(sum(kib for _, kib in cells), shape.mib * 1024, "KiB of all cells")
    check_equal(sorted(seen.nodes), list(range(len(cells))), "NUMA nodes in the guest")
    cpus = {int(vcpu): int(cpu) for vcpu, cpu in pins(text).items()}
    nodes = memory_nodes_of(text)
    for number, (vcpus, kib) in enumerate(cells):
        check_equal(parse_cpus(seen.nodes[number]["cpus"]), vcpus, f"CPUs of node {number} in the guest")
        packages = {shape.host.package(cpus[vcpu]) for vcpu in vcpus}
        check_equal(len(packages), 1, f"host packages of cell {number}")
        check_equal(nodes.get(number), packages, f"host nodes of the memory of cell {number}")
        # The kernel's own image is missing, and what the firmware keeps.
        found = int(seen.nodes[number]["kib"])
        check(kib - 56 * 1024 < found <= kib, f"node {number} has {found} KiB in the guest, the cell {kib}")


def check_guest_sees_host(seen, text, shape):
    """The siblings that the guest sees are siblings on the host, and what shares an L3 there does so here."""
    cpus = {int(vcpu): int(cpu) for vcpu, cpu in pins(text).items()}
    check_equal(len(set(cpus.values())), shape.vcpus, "host CPUs of all vCPUs")
    check_equal(seen_partition(seen, "core_cpus"), partition(cpus, lambda vcpu: shape.host.core(cpus[vcpu])),
                f"cores in the guest against those of the host, with the pins {cpus}")
    if shape.own:
        return  # how many caches it has is as the user wrote it
    caches = partition(cpus, lambda vcpu: shape.host.l3(cpus[vcpu]))
    if len({len(group) for group in caches}) > 1:
        caches = [sorted(cpus)]  # QEMU's dies are all of one size: unlike caches cannot be shown
    check_equal(seen_partition(seen, "l3_cpus"), caches,
                f"L3 caches in the guest against those of the host, with the pins {cpus}")


def check_shape(shape):
    prepare()
    text = shape.rewritten()
    topology = tuple(topology_of(text).values())
    note(f"topology: {topology}, pins: {pins(text)}")
    check_equal(topology, shape.topology, "the topology in the document")
    check_validates(text)
    check_define_keeps(text)
    with defined(connection, without_host(text)) as domain:
        domain.create()
        seen = wait_for_guest(domain)
    note_seen(seen)
    check_guest_sees_topology(seen, text)
    check_guest_sees_host(seen, text, shape)
    check_cells(seen, text, shape)


def add_shape(description, shape):
    def shape_test():
        check_shape(shape)

    shape_test.__name__ = shape.name
    test(description)(shape_test)


for each_description, each_shape in SHAPES.items():
    add_shape(each_description, each_shape)

main()
