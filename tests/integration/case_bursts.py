# SPDX-License-Identifier: LGPL-2.1-or-later
"""What scripts do: many edits in one connection, and a domain undefined and defined anew, while the daemon prepares."""
import os
import random
import re
import time

import libvirt

from lib import (RECOVERED, STATE_NS, LogWatch, check, check_equal, connect, definition, domain_xml, main, note,
                 remove, test, wait_until)

BURSTS = int(os.environ.get("BURSTS", "15"))
LONG_BURSTS = int(os.environ.get("LONG_BURSTS", "1"))
LONG = 300
PAIRS = int(os.environ.get("UNDEFINE_PAIRS", "60"))
SEED = int(os.environ.get("STRESS_SEED", str(random.randrange(1 << 30))))
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
NO_PAGES = "<vfio:memory page-size='off'/>"  # a user has none
UUID = "5f4c4c5e-7c5b-4b9e-9c6a-3a0f0e6a8b11"

moments = random.Random(SEED)
connection = connect()


def disk(number):
    letters = "abcdefghijklmnopqrstuvwxyz"
    name = f"sd{letters[number // 26 - 1]}{letters[number % 26]}" if number >= 26 else f"sd{letters[number]}"
    return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/none/{number}.img'/>"
            f"<target dev='{name}' bus='scsi'/></disk>")


def placed_disk(number):
    """At an address of its own: libvirt's choice ends with the PCI slots that more controllers take."""
    return disk(number).replace("</disk>", f"<address type='drive' controller='{number // 250}' bus='0' "
                                           f"target='{number % 250}' unit='0'/></disk>")


def interface(number):
    return (f"<interface type='user'><mac address='52:54:00:00:{number // 256:02x}:{number % 256:02x}'/>"
            "<model type='virtio'/></interface>")


def present(domain, kind):
    text = definition(domain)
    return len(re.findall("<interface type='user'" if kind is interface else "<source file='/none/", text.replace('"', "'")))


def burst(kind, count, pause):
    """The same connection tags the domain and attaches; the daemon's define lands somewhere in it."""
    controllers = "".join(f"<controller type='scsi' index='{index}' model='virtio-scsi'/>" for index in range(8))
    domain = connection.defineXML(domain_xml("burst", "pinned", NO_PAGES, devices=controllers))
    try:
        time.sleep(moments.choice([0, moments.uniform(0, 0.004)]))
        for number in range(count):
            domain.attachDeviceFlags(kind(number), CONFIG)
            time.sleep(pause)
        wait_until("the domain is prepared", lambda: STATE_NS in definition(domain), 20)
        # One that our define overwrote is back a moment later.
        deadline = time.monotonic() + 10
        while present(domain, kind) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return count - present(domain, kind)
    finally:
        remove(domain)


def check_bursts(kind, rounds, count, pause):
    log = LogWatch()
    missing = [burst(kind, count, pause) for _ in range(rounds)]
    note(f"seed {SEED}: {rounds} bursts of {count}, prepared {log.count('prepared for')} times, "
         f"recovered {log.count(RECOVERED)} times")
    for line in log.text().splitlines() if sum(missing) else []:
        note(line)
    check_equal(sum(missing), 0, "devices that are missing")
    for line in log.text().splitlines():
        check(RECOVERED not in line or re.search(RECOVERED + ": .*(disk|interface|controller|metadata|added|changed)", line),
              f"a recovery says what it put back: {line}")


@test(f"{BURSTS} bursts of 8 disks in one connection")
def disks():
    check_bursts(disk, BURSTS, 8, 0)


@test(f"{BURSTS} bursts of 8 interfaces in one connection")
def interfaces():
    check_bursts(interface, BURSTS, 8, 0)


@test(f"{LONG_BURSTS} x {LONG} disks, 3 ms apart")
def long_burst():
    check_bursts(placed_disk, LONG_BURSTS, LONG, 0.003)


@test(f"{PAIRS} times undefined and defined anew in one connection: it is there each time")
def undefine_define():
    gone = 0
    xml = domain_xml("anew", "pinned", NO_PAGES).replace("<name>anew</name>", f"<name>anew</name><uuid>{UUID}</uuid>")
    domain = connection.defineXML(xml)
    log = LogWatch()
    for _ in range(PAIRS):
        time.sleep(moments.uniform(0, 0.012))
        domain.undefine()
        time.sleep(moments.uniform(0, 0.004) if moments.random() < 0.5 else 0)
        domain = connection.defineXML(xml)
        time.sleep(moments.uniform(0.02, 0.08))
        if not any(other.name() == "anew" for other in connection.listAllDomains()):
            gone += 1
            domain = connection.defineXML(xml)
    note(f"seed {SEED}: undefined again {log.count('undefined again')} times")
    remove(domain)
    check_equal(gone, 0, "definitions that are gone")


@test("undefined while it is prepared: it stays undefined")
def undefine_alone():
    back = 0
    for _ in range(PAIRS // 2):
        domain = connection.defineXML(domain_xml("leaves", "pinned", NO_PAGES))
        time.sleep(moments.uniform(0, 0.012))
        domain.undefine()
        time.sleep(0.1)
        still = [other for other in connection.listAllDomains() if other.name() == "leaves"]
        back += len(still)
        for other in still:
            other.undefine()
    check_equal(back, 0, "definitions that came back")


main()
