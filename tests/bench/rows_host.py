# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a start costs: the hook alone, as libvirt calls it, and `virsh start` with it and without."""
import contextlib
import os
import random
import re

from lib import connect, daemon, defined, definition, domain_xml, libvirtd, wait_ready

from figures import NO_PAGES, milliseconds, time_programs

HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
HOOK_AWAY = "/etc/libvirt/hook-away"
POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
PAGES = "<vfio:memory page-size='2M'/>"
SHELL = "#!/bin/sh\nexit 0\n"
PYTHON = ("#!/usr/bin/python3\nimport sys\nimport xml.etree.ElementTree as ET\n"
          "ET.fromstring(sys.stdin.buffer.read()).find('metadata')\n")

ROWS = ("hook-untagged", "hook-pinned", "hook-1g", "hook-8g", "virsh-start")


def write_hook(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def starting(domain):
    """The XML as the hook gets it at prepare: the stored definition, with an id."""
    return domain.XMLDesc().replace("<domain type='qemu'", "<domain type='qemu' id='1'", 1).encode()


def call(hook, name, xml):
    """Milliseconds of a start's question; what was made ready is given back afterwards."""
    taken = milliseconds(run_hook, hook, name, "prepare", xml)
    run_hook(hook, name, "release", xml)
    return taken


def run_hook(hook, name, operation, xml):
    time_programs(1, [hook, name, operation, "begin", "-"], stdin=xml)


def rows_of_hooks(bench, connection):
    """In an order that changes, as whoever comes behind another finds its traces; Python's are long."""
    empty, parses = write_hook("/run/empty", SHELL), write_hook("/run/parses", PYTHON)
    with defined(connection, domain_xml("bare", mib=1024)) as bare, \
         defined(connection, domain_xml("pinned", "pinned", NO_PAGES, mib=1024)) as pinned:
        wait_ready("pinned")
        calls = [(empty, "bare", starting(bare)), (HOOK, "bare", starting(bare)), (HOOK, "pinned", starting(pinned))]
        python = [call(parses, "bare", calls[0][2]) for _ in bench.rounds(50, 20)]
        times = [[], [], []]
        for _ in bench.rounds(500):
            for index in random.sample(range(len(calls)), len(calls)):
                times[index].append(call(*calls[index]))
    shell = ("an empty shell hook", times[0])
    bench.add("hook-untagged", "the hook, a domain without a tag", times[1], peer=shell)
    bench.add("hook-pinned", "the hook, pinned, no pages", times[2], peer=shell)
    bench.add("hook-pinned", "the same", times[2], peer=("a Python hook that parses the XML", python))


def row_of_pages(bench, connection, row, mib):
    with open(POOL) as file:
        before = file.read()
    with defined(connection, domain_xml("paged", "pinned", PAGES, mib=mib)) as domain:
        wait_ready("paged")
        xml = starting(domain)
        times = [call(HOOK, "paged", xml) for _ in bench.rounds(100)]
    bench.add(row, f"the hook, pinned, {mib // 1024} GiB of pages made anew", times)
    with open(POOL) as file:
        after = file.read()
    if after != before:
        raise RuntimeError(f"the pool had {before.strip()} pages before, and {after.strip()} after")


def time_starts(bench, connection, text, seconds):
    """A guest is ended outside the measured time."""
    times = []
    with defined(connection, text) as domain:
        if "urn:vfio-profile" in text:
            wait_ready("starts")
        for _ in bench.rounds(25, seconds):
            times += time_programs(1, ["virsh", "--quiet", "start", "starts"])[0]
            domain.destroy()
    return times


def without_hook():
    """libvirt alone: it looks for hooks when it starts."""
    daemon.stop()
    os.rename(HOOK, HOOK_AWAY)
    libvirtd.restart()


def with_hook():
    os.rename(HOOK_AWAY, HOOK)
    libvirtd.restart()
    daemon.start()


def row_of_starts(bench):
    """Two blocks of each, in turn; the definitions differ by tag and state alone."""
    tagged = domain_xml("starts", "pinned", NO_PAGES)
    ours, alone = [], []
    for _ in range(2):
        with contextlib.closing(connect()) as connection:
            with defined(connection, tagged) as domain:
                wait_ready("starts")
                by_hand = re.sub("<metadata>.*</metadata>", "", definition(domain), flags=re.S)
            ours += time_starts(bench, connection, tagged, 30)
        without_hook()
        with contextlib.closing(connect()) as connection:
            alone += time_starts(bench, connection, by_hand, 30)
        with_hook()
    bench.add("virsh-start", "virsh start, tagged, no pages", ours, peer=("libvirt alone, pinned by hand", alone))


def measure(bench):
    with contextlib.closing(connect()) as connection:
        if bench.wants("hook-untagged", "hook-pinned"):
            rows_of_hooks(bench, connection)
        for row, mib in (("hook-1g", 1024), ("hook-8g", 8192)):
            if bench.pages and bench.wants(row):
                row_of_pages(bench, connection, row, mib)
    if bench.wants("virsh-start"):
        row_of_starts(bench)
