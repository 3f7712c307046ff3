# SPDX-License-Identifier: LGPL-2.1-or-later
"""`vfio-profile set`, `unset` and `undo` write while somebody else edits the same definition: no edit is lost."""
import contextlib
import os
import random
import re
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ET

import libvirt

from lib import (STATE_NS, TAG_NS, check, check_equal, check_same, daemon, defined, definition, domain_xml, main, note,
                 profile_tool, ready, run, test, wait_ready, wait_until)
from session_user import Session

CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
URI = os.environ.get("LIBVIRT_DEFAULT_URI", "qemu:///system")
IS_SYSTEM = URI == "qemu:///system"
DEVICES = int(os.environ.get("SET_DEVICES", "100"))
KILLS = int(os.environ.get("SET_KILLS", "20"))
SEED = int(os.environ.get("STRESS_SEED", str(random.randrange(1 << 30))))
LATE = 0.02  # seconds, for a define that libvirt has begun
INTENTS = "/var/lib/vfio-profile/intents"
CONTROLLERS = "".join(f"<controller type='scsi' index='{index}' model='virtio-scsi'/>" for index in range(3))
NO_PAGES = ("--option", "memory.page-size=off")  # a user has none
COMMANDS = [("set", "edited", "pinned", *NO_PAGES), ("unset", "edited"), ("set", "edited", "nvidia", *NO_PAGES),
            ("unset", "edited")]

moments = random.Random(SEED)
connection = libvirt.open(URI)


def disk(number):
    letters = "abcdefghijklmnopqrstuvwxyz"
    name = f"sd{letters[number // 26 - 1] if number >= 26 else ''}{letters[number % 26]}"
    return (f"<disk type='file' device='disk'><source file='/none/{number}.img'/><target dev='{name}' bus='scsi'/>"
            f"<address type='drive' controller='0' bus='0' target='{number}' unit='0'/></disk>")


def missing(domain):
    there = {int(number) for number in re.findall(r"/none/(\d+)\.img", definition(domain))}
    return sorted(set(range(DEVICES)) - there)


@contextlib.contextmanager
def daemon_stopped():
    if IS_SYSTEM:
        daemon.stop()
    try:
        yield
    finally:
        if IS_SYSTEM:
            daemon.start()


class Attacher(threading.Thread):
    """Attaches devices one after the other in a connection of its own."""

    def __init__(self, name, pause):
        super().__init__()
        self.domain = libvirt.open(URI).lookupByName(name)
        self.pause = pause
        self.times = {}  # number -> when it was attached, from and to
        self.failure = None
        self.start()

    def run(self):
        try:
            for number in range(DEVICES):
                begin = time.monotonic()
                self.domain.attachDeviceFlags(disk(number), CONFIG)
                self.times[number] = (begin, time.monotonic())
                time.sleep(self.pause)
        except libvirt.libvirtError as error:
            self.failure = error

    def check(self):
        self.join()
        check(self.failure is None, f"an attach failed: {self.failure}")


def set_under_edits(pause):
    """Set and unset in turn, for as long as somebody attaches."""
    with defined(connection, domain_xml("edited", devices=CONTROLLERS)) as domain:
        attacher = Attacher("edited", pause)
        count = 0
        warnings = ""
        while attacher.is_alive() or count % len(COMMANDS) != 1:
            t=time.monotonic()
            r = profile_tool(*COMMANDS[count % len(COMMANDS)])
            warnings += f"== {count} {COMMANDS[count % len(COMMANDS)][:1]} {t:.3f}..{time.monotonic():.3f} missing now {[n for n in missing(domain) if n in attacher.times]}\n" + r.stderr
            count += 1
        attacher.check()
        check(TAG_NS in definition(domain) and ready("edited"), "it is not ready after set")
        note(f"{count} commands, {pause} s apart, missing: {missing(domain)}")
        note(warnings if missing(domain) else "no warning")
        if missing(domain):
            for n in missing(domain): note(f"{n}: {attacher.times[n]}")
        profile_tool("unset", "edited")
        check_equal(missing(domain), [], "missing after the last unset")
        check("vfio-profile" not in definition(domain), "something of ours is left")



@test("loop")
def loop():
    lost = 0
    with daemon_stopped():
        for i in range(int(os.environ.get("LOOPS", "25"))):
            try:
                set_under_edits(0.003)
            except AssertionError as error:
                note(f"FAIL {error}")
                lost += 1
                for d in connection.listAllDomains(): d.undefine()
    check(lost == 0, f"lost {lost}")

main()
