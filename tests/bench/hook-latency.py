#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long the hook takes at prepare, beside hooks that do less.

Run in a sandbox, which installs the build and starts libvirtd and the daemon:

    tests/integration/sandbox --build BUILD --pages 0 /usr/bin/python3 tests/bench/hook-latency.py [ROUNDS]

Each round calls the hook as libvirt does, with the XML on its standard input;
release follows, outside the measured time. Prints a table in Markdown.
"""
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from lib import connect, defined, domain_xml, wait_ready  # noqa: E402

HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
SHELL = "#!/bin/sh\nexit 0\n"
PYTHON = ("#!/usr/bin/python3\nimport sys\nimport xml.etree.ElementTree as ET\n"
          "ET.fromstring(sys.stdin.buffer.read()).find('metadata')\n")


def call(hook, name, operation, xml):
    begin = time.perf_counter()
    subprocess.run([hook, name, operation, "begin", "-"], input=xml, check=True, capture_output=True)
    return (time.perf_counter() - begin) * 1000


def measure(hook, name, xml, rounds):
    times = []
    for _ in range(rounds):
        times.append(call(hook, name, "prepare", xml))
        call(hook, name, "release", xml)
    return times


def report(what, times):
    times.sort()
    print(f"| {what} | {statistics.median(times):.1f} | {times[int(len(times) * 0.99)]:.1f} |", flush=True)


def write_hook(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def starting(domain, name):
    """The XML as the hook gets it at prepare: the stored definition, with an id."""
    return domain.XMLDesc().replace("<domain type='qemu'", "<domain type='qemu' id='1'", 1).encode()


def measure_ours(connection, what, rounds, **shape):
    overrides = shape.pop("overrides", "")
    with defined(connection, domain_xml("bench", shape.pop("profile", "pinned"), overrides, **shape)) as domain:
        if "<vfio:profile" in domain.XMLDesc():
            wait_ready("bench")
        report(what, measure(HOOK, "bench", starting(domain, "bench"), rounds))


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    connection = connect()
    with open(POOL) as file:
        before = file.read()
    print(f"{rounds} rounds each\n\n| hook | median ms | 99 % ms |\n|---|---|---|")
    with defined(connection, domain_xml("bench", mib=1024)) as domain:
        xml = starting(domain, "bench")
        report("an empty shell script", measure(write_hook("/run/empty", SHELL), "bench", xml, rounds))
        report("Python that parses the XML", measure(write_hook("/run/parses", PYTHON), "bench", xml, rounds))
        report("ours, a domain without a tag", measure(HOOK, "bench", xml, rounds))
    off = "<vfio:memory page-size='off'/>"
    pages = "<vfio:memory page-size='2M'/>"
    measure_ours(connection, "ours, pinned, no pages", rounds, overrides=off, mib=1024)
    measure_ours(connection, "ours, pinned, 1 GiB allocated", rounds, overrides=pages, mib=1024)
    measure_ours(connection, "ours, pinned, 8 GiB allocated", max(rounds // 4, 1), overrides=pages, mib=8192)
    with open(POOL) as file:
        after = file.read()
    if after != before:
        sys.exit(f"the pool had {before.strip()} pages before, and {after.strip()} after")


main()
