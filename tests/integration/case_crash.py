# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon killed at any moment, libvirtd restarted under load: nothing lost, nothing half done."""
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import libvirt

from edits import Edits, arguments, check_against_twin, edited_domain
from lib import (CONFIG, STATE_NS, TAG_NS, Qemu, check, check_equal, check_same, connect, daemon, defined, definition, domain_xml,
                 is_active, libvirtd, main, note, profile_tool, remove, run, test, virsh, wait_ready, wait_until,
                 without_tag)

KILLS = int(os.environ.get("CRASH_KILLS", "100"))
SEED = int(os.environ.get("STRESS_SEED", str(random.randrange(1 << 30))))
# The hook's own deadline, and what starting processes on a busy machine adds. After a
# prepare that failed libvirt calls the hook twice more, for stopped and release.
HOOK_SECONDS = 10
HOOK_CALLS = 3
SLACK = 5


def check_whole(domain, original):
    """Prepared or not, the definition is one of the two: without ours it is the user's, and the state is sound."""
    text = definition(domain)
    undone = run("vfio-profile", "rewrite", "--undo", stdin=text).stdout
    check_same(without_tag(undone), original, "the definition after a kill, undone")


@test(f"kill -9 of the daemon at random points of {KILLS} rewrites")
def kill_the_daemon():
    moments = random.Random(SEED)
    note(f"seed {SEED}")
    connection = connect()
    with defined(connection, edited_domain("victim")) as domain:
        original = without_tag(definition(domain))
        prepared = 0
        for number in range(KILLS):
            # The tag comes and goes in turn: each is a rewrite, which `set` would wait for.
            tag = ("<profile name='%s'/>" % moments.choice(["pinned", "nvidia"]), "vfio") if number % 2 == 0 else (None, None)
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, *tag, TAG_NS, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            time.sleep(moments.uniform(0, 0.012))
            daemon.kill()
            prepared += STATE_NS in definition(domain)
            check_whole(domain, original)
            daemon.start()
        note(f"{prepared} of {KILLS} kills found the definition prepared")
        profile_tool("set", "victim", "pinned")
        wait_ready("victim")
        profile_tool("unset", "victim")
        wait_until("the originals are back", lambda: STATE_NS not in definition(domain), 10)
        check_same(without_tag(definition(domain)), original, "at the end, undone")


@test("edits go on while the daemon is killed: none is lost, all is prepared at the end")
def kill_under_edits():
    commands = Edits(SEED).take(100)
    connection = connect()
    with defined(connection, edited_domain("edited", "pinned")) as domain:
        wait_ready("edited")
        moments = random.Random(SEED)
        ended = threading.Event()
        failures = []

        def killer():
            try:
                while not ended.is_set():
                    time.sleep(moments.uniform(0.05, 0.2))
                    daemon.stop()  # TERM: it ends a rewrite that it began
                    daemon.start()
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            for command in commands:
                virsh(*arguments(command, "edited"))
        finally:
            ended.set()
            thread.join()
        check(not failures, f"the daemon did not restart: {failures}")
        check_against_twin(domain, commands)


@test("libvirtd restarted under load: the guest goes on, all is prepared at the end")
def restart_libvirtd():
    connection = connect()
    names = [f"load{number}" for number in range(5)]
    for name in names:
        connection.defineXML(edited_domain(name, "pinned"))
    for name in names:
        wait_ready(name)
    connection.lookupByName("load0").create()
    pid = Qemu("load0").pid
    connection.close()

    ended = threading.Event()

    def load():
        edits = Edits(SEED)
        while not ended.is_set():
            virsh(*arguments(edits.next(), random.choice(names)), ok=None)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _round in range(4):
            time.sleep(0.5)
            libvirtd.kill() if _round % 2 else libvirtd.stop()
            libvirtd.start()
    finally:
        ended.set()
        thread.join()
    check_equal(Qemu("load0").pid, pid, "the guest's process after the restarts")
    for name in names:
        wait_ready(name, 30)
    connection = connect()
    check(is_active(connection.lookupByName("load0")), "libvirt lost the running guest")
    for name in names:
        remove(connection.lookupByName(name))


@test("libvirtd and the daemon both restarted: the hook lets a running guest be, with nobody to ask")
def reconnect_without_daemon():
    connection = connect()
    connection.defineXML(domain_xml("running", "pinned"))
    wait_ready("running")
    connection.lookupByName("running").create()
    pid = Qemu("running").pid
    connection.close()
    daemon.kill()
    libvirtd.restart()
    connection = connect()
    wait_until("libvirt knows the guest again", lambda: is_active(connection.lookupByName("running")), 20)
    check_equal(Qemu("running").pid, pid, "the guest's process")
    daemon.start()
    wait_ready("running")
    virsh("destroy", "running")
    remove(connection.lookupByName("running"))


@test("with the daemon away a tagged start is refused at once, and the line says how to start it")
def daemon_away():
    connection = connect()
    with defined(connection, domain_xml("away", "pinned")) as domain:
        wait_ready("away")
        daemon.kill()
        begin = time.monotonic()
        result = virsh("start", "away", ok=False)
        taken = time.monotonic() - begin
        check(taken < SLACK, f"it took {taken:.1f} s")
        check("systemctl start vfio-profiled" in result.stderr, f"no advice in: {result.stderr}")
        note(result.stderr.strip().splitlines()[-1] if result.stderr.strip() else "")
        daemon.start()
        domain.create()
        check(is_active(domain), "it does not start with the daemon back")


@test("a daemon that hangs: the start is refused within the deadline of the hook's calls")
def daemon_hangs():
    connection = connect()
    with defined(connection, domain_xml("hung", "pinned")) as domain:
        wait_ready("hung")
        os.kill(daemon.pid(), signal.SIGSTOP)
        try:
            begin = time.monotonic()
            result = virsh("start", "hung", ok=False)
            taken = time.monotonic() - begin
        finally:
            os.kill(daemon.pid(), signal.SIGCONT)
        note(f"{taken:.1f} s: {result.stderr.strip()}")
        check(taken < HOOK_CALLS * HOOK_SECONDS + SLACK, f"it took {taken:.1f} s")
        check(not is_active(domain), "it runs")
        wait_until("it starts with the daemon back", lambda: virsh("start", "hung", ok=None).returncode == 0, 10)


def stop_beside_hung_libvirtd(busy):
    """SIGTERM while libvirtd is stopped; `busy`: the daemon waits for its answer at that moment."""
    daemon.restart()  # as a child of ours, for its exit status
    os.kill(libvirtd.pid(), signal.SIGSTOP)
    try:
        if busy:
            # As libvirt stores a version.
            shutil.copy(f"{CONFIG}/still.xml", f"{CONFIG}/still.xml.new")
            os.rename(f"{CONFIG}/still.xml.new", f"{CONFIG}/still.xml")
            time.sleep(0.5)
        begin = time.monotonic()
        daemon.stop()
        taken = time.monotonic() - begin
    finally:
        os.kill(libvirtd.pid(), signal.SIGCONT)
    note(f"{taken:.2f} s")
    check(taken < 10, f"it took {taken:.1f} s")
    check_equal(daemon.process.wait(5), 0, "its exit status")
    daemon.start()


@test("SIGTERM while libvirtd hangs: the daemon ends within two seconds, and the next one goes on")
def stop_while_libvirtd_hangs():
    connection = connect()
    with defined(connection, domain_xml("still", "pinned")) as domain:
        wait_ready("still")
        for busy in (False, True):
            stop_beside_hung_libvirtd(busy)
        profile_tool("unset", "still")
        wait_until("it is undone", lambda: STATE_NS not in definition(domain), 10)
        profile_tool("set", "still", "pinned")
        wait_ready("still")
        domain.create()
        check(is_active(domain), "it does not start")


@test("a burst of starts and edits while the daemon is killed: each command ends")
def hooks_end():
    connection = connect()
    moments = random.Random(SEED)
    names = [f"hook{number}" for number in range(3)]
    for name in names:
        connection.defineXML(domain_xml(name, "pinned", mib=16))
    for name in names:
        wait_ready(name)
    longest = 0.0
    for _round in range(10):
        processes = [subprocess.Popen(["virsh", "--quiet", "start", name], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL) for name in names]
        begin = time.monotonic()
        time.sleep(moments.uniform(0, 0.3))
        daemon.kill()
        for process in processes:
            process.wait(HOOK_CALLS * HOOK_SECONDS + SLACK)
        longest = max(longest, time.monotonic() - begin)
        daemon.start()
        for name in names:
            domain = connection.lookupByName(name)
            if is_active(domain):
                domain.destroy()
    note(f"the longest start took {longest:.2f} s")
    for name in names:
        wait_ready(name)
        remove(connection.lookupByName(name))


main()
