# SPDX-License-Identifier: LGPL-2.1-or-later
"""What no libvirt is needed for: rewriting and placing in process; and whole commands beside those of others."""
import glob
import json
import os
import re
import statistics
import subprocess
import time

from figures import guest, names, percentile, time_programs

ROWS = ("rewriting", "rewriting-placed", "placing", "placing-fleet", "plan", "status", "rewrite")
DOMAINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "domains")


def five_lines(text):
    """A hook as people write it: hide KVM and the Hyper-V features, name another emulator."""
    from lxml import etree  # pylint: disable=import-outside-toplevel
    root = etree.fromstring(text)
    for node in root.xpath("features/hyperv | clock/timer[@name='hypervclock']"):
        node.getparent().remove(node)
    etree.SubElement(etree.SubElement(root.find("features"), "kvm"), "hidden", state="on")
    root.find("devices/emulator").text = "/usr/bin/wrapper"
    return etree.tostring(root)


def time_lxml(rounds):
    """Microseconds of CPU time a file, the mean of all rounds."""
    taken = []
    for path in sorted(glob.glob(f"{DOMAINS}/*.xml")):
        with open(path, "rb") as file:
            text = file.read()
        try:
            five_lines(text)
        except (AttributeError, TypeError):  # no features, or no emulator: nothing for those who hide something
            continue
        begin = time.thread_time_ns()
        for _ in range(rounds):
            five_lines(text)
        taken.append((time.thread_time_ns() - begin) / rounds / 1000)
    return taken


def rows_of_rewriting(bench):
    rounds = 3 if bench.quick else 30
    program = os.path.join(bench.build, "tests", "bench", "bench-rewrite")
    lines = subprocess.run([program, "--rounds", str(rounds)], check=True, capture_output=True, text=True).stdout
    lxml = time_lxml(rounds)
    peer = ("lxml's five lines, no placement", statistics.median(lxml), percentile(lxml, 0.99))
    for row, found in zip(("rewriting", "rewriting-placed"), map(json.loads, lines.splitlines())):
        placed = ", without placement" if row == "rewriting" else ""
        bench.add_summary(row, f"parse, plan, text of a definition{placed}", found["median_us"], found["p99_us"],
                          "µs CPU", rounds=rounds, peer=peer)


def rows_of_placing(bench):
    """The best of some rounds; hosts and fleets beyond these: the benchmark itself prints them."""
    program = os.path.join(bench.build, "tests", "bench", "bench-placement")
    text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    one = float(re.search(r"^512 +([\d.]+) \(", text, re.M).group(1))
    fleet = float(re.search(r"^100 guests of 4 vCPUs on 512 CPUs: ([\d.]+) ms", text, re.M).group(1))
    bench.add_summary("placing", "one guest of 8 vCPUs on 512 CPUs", one, one, "µs")
    bench.add_summary("placing-fleet", "100 guests of 4 vCPUs on 512 CPUs", fleet, fleet, "ms")


def rows_of_commands(bench, size):
    """Whole processes, with as many domains as libvirt has now."""
    name = names(size)[0]
    commands = (
        ("plan", "vfio-profile plan", ["vfio-profile", "plan", name], "virsh dumpxml", ["virsh", "dumpxml", name]),
        ("status", "vfio-profile status", ["vfio-profile", "status"], "virsh list", ["virsh", "list", "--all"]),
        ("rewrite", "vfio-profile rewrite, a filter", ["vfio-profile", "rewrite"],
         "virt-xml, the same", ["virt-xml", "--edit", "--vcpus", "2", "--print-xml"]),
    )
    for row, what, ours, other, theirs in commands:
        if not bench.wants(row):
            continue
        stdin = guest("filtered").encode() if row == "rewrite" else None
        pairs = [time_programs(1, ours, theirs, stdin=stdin) for _ in bench.rounds(30, 20)]
        bench.add(row, f"{what}, {size} domains", [pair[0][0] for pair in pairs], size=size,
                  peer=(other, [pair[1][0] for pair in pairs]))


def measure(bench):
    if bench.wants("rewriting", "rewriting-placed"):
        rows_of_rewriting(bench)
    if bench.wants("placing", "placing-fleet"):
        rows_of_placing(bench)
