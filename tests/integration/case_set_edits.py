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
LATE_WATCH = "could not be read in time: it may be lost"
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
            warnings += profile_tool(*COMMANDS[count % len(COMMANDS)]).stderr
            count += 1
        attacher.check()
        check(TAG_NS in definition(domain) and ready("edited"), "it is not ready after set")
        note(f"{count} commands, {pause} s apart, missing: {missing(domain)}")
        note(warnings or "no warning")
        profile_tool("unset", "edited")
        if LATE_WATCH in warnings:
            note(f"the machine was too busy for the watch, and it said so; missing: {missing(domain)}")
        else:
            check_equal(missing(domain), [], "missing after the last unset")
        check("vfio-profile" not in definition(domain), "something of ours is left")


@test(f"{DEVICES} devices attached while set and unset run in turn, with the daemon: none is missing")
def with_daemon():
    for pause in (0.02, 0.003):
        set_under_edits(pause)


@test("the same without the daemon")
def without_daemon():
    with daemon_stopped():
        for pause in (0.02, 0.003):
            set_under_edits(pause)


@test("the same on qemu:///session, without the daemon and with it")
def as_user():
    def again(function):
        result = run(*user.command("/usr/bin/python3", os.path.abspath(__file__), function,
                                   SET_DEVICES=str(DEVICES)), ok=None, deadline=280)
        for line in result.stdout.splitlines():
            note(line if "SKIP" not in line else "")
        check(result.returncode == 0 and "not ok" not in result.stdout, f"see above: {result.stderr}")

    user = Session()
    try:
        again("without_daemon")
        process = user.start_daemon()
        try:
            again("with_daemon")
        finally:
            process.kill()
            process.wait()
    finally:
        user.kill()


@test("undo --all, without the daemon, while devices are attached: none is missing, and the originals are back")
def undo_under_edits():
    with defined(connection, domain_xml("edited", "pinned", devices=CONTROLLERS)) as domain:
        wait_ready("edited")
        with daemon_stopped():
            attacher = Attacher("edited", 0.003)
            warnings = ""
            while attacher.is_alive():
                warnings += profile_tool("undo", "--all").stderr
                warnings += profile_tool("set", "edited", "pinned").stderr
            note(warnings or "no warning")
            attacher.check()
            profile_tool("undo", "--all")
            check_equal(missing(domain), [], "missing")
            check(STATE_NS not in definition(domain) and TAG_NS in definition(domain), "it is not undone, tag and all")


def intents():
    return [name for name in os.listdir(INTENTS) if name.startswith("d-") and "intent" in os.listdir(f"{INTENTS}/{name}")]


def unseen(attacher, kills):
    """What libvirt stored after a kill and before the define that it had been asked for: nobody lives to see it."""
    return {number for number, (begin, end) in attacher.times.items()
            if any(end > kill and begin < kill + LATE for kill in kills)}


@test(f"set and unset killed {KILLS} times amid attaches: whoever writes next puts back what they overwrote")
def killed():
    note(f"seed {SEED}")
    kills = []
    with defined(connection, domain_xml("edited", devices=CONTROLLERS)) as domain:
        daemon.stop()
        attacher = Attacher("edited", 0.01)
        for number in range(KILLS):
            command = subprocess.Popen(["vfio-profile", *COMMANDS[number % len(COMMANDS)]], stdout=subprocess.DEVNULL)
            time.sleep(moments.uniform(0, 0.08))
            kills.append(time.monotonic())
            command.kill()
            command.wait()
        attacher.check()
        note(f"an intent is open at the end: {len(intents())}")
        daemon.start()
        wait_until("nothing is open", lambda: not intents() and ready("edited"), 20)
        note(f"missing: {missing(domain)}, {len(unseen(attacher, kills))} of {DEVICES} were attached at a kill")
        check_equal(sorted(set(missing(domain)) - unseen(attacher, kills)), [], "missing")


def leave_intent(domain, edit):
    """What a command leaves that was killed after its define, which overwrote the edit of what it had read."""
    def line(key, text):
        return f"{key}=" + text.replace("\\", "\\\\").replace("\n", "\\n") + "\n"

    folder = f"{INTENTS}/d-{domain.name()}"
    os.makedirs(folder, 0o700, exist_ok=True)
    written = definition(domain)
    base = re.sub(r"write=(['\"])[^'\"]*", r"write=\1older", written)
    check(base != written, "it has no mark")
    for name, text in (("intent", "[intent]\nversion=1\nid=left\n" + line("base", base) + line("written", written)),
                       ("left.00000000000000000001.xml", edit(base))):
        with open(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)


@test("a command that finds all as it shall be takes up what one that was killed left")
def left_over():
    with defined(connection, domain_xml("edited")) as domain, daemon_stopped():
        profile_tool("set", "edited", "pinned")
        leave_intent(domain, lambda text: text.replace("<memory", "<title>edit</title>\n  <memory", 1))
        check_equal(intents(), ["d-edited"], "what is left")
        profile_tool("set", "edited", "pinned")
        check("<title>edit</title>" in definition(domain), "the edit is lost")
        check_equal(intents(), [], "what is left")
        check(ready("edited"), "it is not ready")
        profile_tool("unset", "edited")


@test("commands and a daemon that begin at once: each has its turn, and all succeed")
def at_once():
    names = ("one", "two", "three")
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(defined(connection, domain_xml(name)))
        for _ in range(5):
            daemon.stop()
            commands = [subprocess.Popen(["vfio-profile", "set", name, "pinned"], stdout=subprocess.DEVNULL)
                        for name in names]
            daemon.start()
            check_equal([command.wait(60) for command in commands], [0, 0, 0], "exit status")
            check(all(ready(name) for name in names), "one is not ready")
            for name in names:
                profile_tool("unset", name)


@test("what cannot be planned changes nothing, with the daemon and without")
def unknown():
    with defined(connection, domain_xml("bare")) as domain:
        before = definition(domain)
        for context in (contextlib.nullcontext, daemon_stopped):
            with context():
                result = profile_tool("set", "bare", "pinned", "nobody", ok=False)
                check("nothing was changed" in result.stderr and "nobody" in result.stderr, result.stderr)
                check_equal(definition(domain), before, "the definition")


@test("set and unset leave a definition without metadata as it was, with the daemon and without")
def nothing_left():
    with defined(connection, domain_xml("bare")) as domain:
        before = definition(domain)
        check("<metadata" not in before, "it has metadata")
        for context in (contextlib.nullcontext, daemon_stopped):
            with context():
                profile_tool("set", "bare", "pinned", "--option", "cpu.reserve-cores=1")
                tag = ET.fromstring(definition(domain)).find(f"metadata/{{{TAG_NS}}}profile")
                check_equal(tag.find(f"{{{TAG_NS}}}cpu").attrib, {"reserve-cores": "1"}, "the override")
                check(ready("bare"), "it is not ready")
                profile_tool("unset", "bare")
                check_same(definition(domain), before, "the definition")


@test("set returns when the guest can be started")
def set_and_start():
    with defined(connection, domain_xml("starts")) as domain:
        for _ in range(5):
            profile_tool("set", "starts", "pinned")
            domain.create()
            domain.destroy()
            profile_tool("unset", "starts")


@test("the daemon is killed while set waits for it: set does it itself")
def daemon_ends():
    with defined(connection, domain_xml("alone")) as domain:
        os.kill(daemon.pid(), signal.SIGSTOP)  # it runs, and does nothing
        command = subprocess.Popen(["vfio-profile", "set", "alone", "pinned"], stdout=subprocess.DEVNULL)
        try:
            wait_until("the tag is there", lambda: TAG_NS in definition(domain), 10)
            time.sleep(0.2)
            check(command.poll() is None, "set did not wait")
        finally:
            daemon.kill()
        try:
            check_equal(command.wait(20), 0, "the exit status")
            check(STATE_NS in definition(domain) and ready("alone"), "it is not ready")
        finally:
            daemon.start()


@test("a daemon that does nothing: after the deadline set says so, and the tag goes again")
def daemon_hangs():
    with defined(connection, domain_xml("hung")) as domain:
        before = definition(domain)
        os.kill(daemon.pid(), signal.SIGSTOP)
        try:
            result = profile_tool("set", "hung", "pinned", ok=False)
        finally:
            daemon.kill()
            daemon.start()
        check_equal((result.returncode, result.stderr.count("\n")), (1, 1), "status and lines")
        check("did not make it ready within" in result.stderr, result.stderr)
        note(result.stderr.strip())
        # libvirt leaves an empty element where it took one out.
        check_same(definition(domain).replace("  <metadata/>\n", ""), before, "the definition")


main()
