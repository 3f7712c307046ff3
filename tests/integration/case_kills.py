# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon killed amid a burst of edits, at any step of a define: what it overwrote is put back by the next one."""
import contextlib
import os
import random
import re
import threading
import time

import libvirt

from lib import (RECOVERED, LogWatch, check, check_equal, connect, daemon, definition, domain_xml, main, note, ready,
                 remove, test, wait_until)

KILLS = int(os.environ.get("KILLS", "25"))
DISKS = 40
SEED = int(os.environ.get("STRESS_SEED", str(random.randrange(1 << 30))))
LATE = 0.02  # seconds, for a define that libvirt has begun
INTENTS = "/var/lib/vfio-profile/intents"

moments = random.Random(SEED)
connection = connect()


def disk(number):
    letter = f"{chr(ord('a') + number // 26 - 1)}{chr(ord('a') + number % 26)}" if number >= 26 else chr(ord('a') + number)
    return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/none/{number}.img'/>"
            f"<target dev='sd{letter}' bus='scsi'/><address type='drive' controller='0' bus='0' target='{number}' unit='0'/>"
            "</disk>")


def attach_all(domain, pause, times):
    for number in range(DISKS):
        begin = time.monotonic()
        domain.attachDeviceFlags(disk(number), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        times[number] = (begin, time.monotonic())
        time.sleep(pause)


def unseen(times, kill):
    """What libvirt stored after the kill and before the define that it had been asked for: nobody lives to see it."""
    return {number for number, (begin, end) in times.items() if end > kill and begin < kill + LATE}


def missing(domain):
    there = set(re.findall(r"/none/(\d+)\.img", definition(domain)))
    return [number for number in range(DISKS) if str(number) not in there]


def intents():
    return [name for name in os.listdir(INTENTS) if name.startswith("d-") and "intent" in os.listdir(f"{INTENTS}/{name}")]


@test(f"killed {KILLS} times amid {DISKS} attaches: none is missing, and no intent is left")
def killed():
    lost = []
    recovered = 0
    for _ in range(KILLS):
        domain = connection.defineXML(domain_xml("victim", "pinned", devices="<controller type='scsi' index='0' model='virtio-scsi'/>"))
        clients = libvirt.open("qemu:///system")
        times = {}  # number -> when it was attached, from and to
        thread = threading.Thread(target=attach_all,
                                  args=(clients.lookupByName("victim"), moments.choice([0.003, 0.01, 0.03]), times))
        log = LogWatch()
        thread.start()
        time.sleep(moments.uniform(0, 0.12))
        kill = time.monotonic()
        daemon.kill()
        thread.join()
        daemon.start()
        wait_until("it is prepared", lambda: ready("victim"), 20)
        wait_until("nothing is open", lambda: not intents(), 20)
        recovered += log.count(RECOVERED)
        if missing(domain):
            gone = set(missing(domain))
            lost += sorted(gone - unseen(times, kill))
            note(f"missing: {sorted(gone)}, of which nobody can have seen {sorted(gone & unseen(times, kill))}")
            note(log.text())
        clients.close()
        remove(domain)
    note(f"seed {SEED}: the next daemon recovered {recovered} times")
    check_equal(lost, [], "disks that are missing")


@test("a full disk: it is prepared all the same, and that it could not be noted is said")
def full_disk():
    domain = connection.defineXML(domain_xml("fills"))
    daemon.stop()
    # The folder of the intents as a file system of its own that is full.
    os.makedirs(INTENTS, exist_ok=True)
    check_equal(os.system(f"mount -t tmpfs -o size=64k,nr_inodes=12,mode=0700 tmpfs {INTENTS}"), 0, "mount's exit status")
    try:
        with open(f"{INTENTS}/filler", "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
        daemon.start()
        log = LogWatch()
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<profile name='pinned'/>", "vfio", "urn:vfio-profile:1",
                           libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        log.wait_for("written without a note of it", 10)
        wait_until("it is prepared", lambda: "vcpupin" in definition(domain), 10)
        check("No space left" in log.text(), "the reason is not said")
        check_equal([name for name in intents()], [], "intents that are left")
        daemon.stop()
    finally:
        os.system(f"umount -l {INTENTS}")
        daemon.start()
        remove(domain)


main()
