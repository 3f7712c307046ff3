# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a change, the daemon's start, its memory and its sleep cost as the fleet grows."""
import contextlib
import os
import subprocess
import time

from lib import CONFIG, connect, daemon, definition, remove

from figures import (anonymous_mib, define_all, guest, mark_of, milliseconds, names, remove_all, switches,
                     threads, wait_marks, wait_quiet)


def change(connection, name, text, patience):
    """Defines it; milliseconds of the define, and from its return until the definition is prepared."""
    before = {name: mark_of(name)}
    own = milliseconds(connection.defineXML, text)
    begin = time.perf_counter()
    prepared = (wait_marks(before, patience) - begin) * 1000
    wait_quiet(patience)
    return own, prepared


def change_once(connection, name, patience):
    """One of the fleet goes, comes back, and gets a second vCPU; (libvirt's define, until prepared) of both."""
    remove(connection.lookupByName(name))
    wait_quiet(patience)
    defined = change(connection, name, guest(name), patience)
    text = definition(connection.lookupByName(name))
    edited = text.replace("<vcpu placement='static'>1<", "<vcpu placement='static'>2<")
    return defined, change(connection, name, edited, patience)


def rows_of_changes(bench, size):
    name = names(size)[-1]
    with contextlib.closing(connect()) as connection:
        pairs = [change_once(connection, name, bench.patience) for _ in bench.rounds()]
        change(connection, name, guest(name).replace("<name>", f"<uuid>{connection.lookupByName(name).UUIDString()}"
                                                              "</uuid><name>"), bench.patience)
    for index, row, measure in ((0, "define", "defined"), (1, "edit", "vCPUs changed")):
        own, prepared = zip(*(pair[index] for pair in pairs))
        bench.add(row, f"{measure} to prepared, {size} tagged", prepared, size=size, peer=("libvirt's define of it", own))


def row_at_once(bench, size):
    """Libvirt has none of them; the fleet stays."""
    times, own = [], []
    for _ in bench.rounds(3):
        remove_all()
        wait_quiet(bench.patience)
        with contextlib.closing(connect()) as connection:
            begin = time.perf_counter()
            own.append(milliseconds(define_all, connection, names(size)))
            times.append((wait_marks(dict.fromkeys(names(size)), bench.patience) - begin) * 1000)
        wait_quiet(bench.patience)
    bench.add("at-once", f"{size} defined at one go, until all are prepared", times, size=size,
              peer=("libvirt's own defines", own))


def start_daemon(patience):
    """Milliseconds until it has looked at all there is."""
    begin = time.perf_counter()
    daemon.start(wait=False)
    daemon.wait_ready()
    return (wait_quiet(patience, 0.3) - begin) * 1000


def stored_files():
    """{file: what changes when libvirt writes it}."""
    found = [entry for entry in os.scandir(CONFIG) if entry.name.endswith(".xml")]
    return {entry.name: (entry.stat().st_ino, entry.stat().st_mtime_ns) for entry in found}


def read_all():
    with contextlib.closing(connect()) as connection:
        for domain in connection.listAllDomains():
            domain.XMLDesc(0)


def rows_of_start(bench, size):
    """With a fleet that is ready; that nothing is written is a part of what is measured."""
    times, own, rewritten = [], [], []
    for _ in bench.rounds(5):
        before = stored_files()
        daemon.stop()
        own.append(milliseconds(read_all))
        times.append(start_daemon(bench.patience))
        after = stored_files()
        rewritten.append(sum(after[name] != before[name] for name in before))
    bench.add("start", f"the daemon's start, {size} tagged and ready", times, size=size,
              peer=("a client that reads all definitions", own))
    bench.add("start-defines", f"definitions written by that start, {size} tagged", rewritten, unit="", size=size)


def count_wakeups(seconds):
    """The daemon's, and those of a client that only waits for events."""
    with subprocess.Popen(["virsh", "--quiet", "event", "--event", "lifecycle", "--loop"]) as virsh:
        try:
            time.sleep(1)
            before = threads(switches), threads(switches, virsh.pid)
            time.sleep(seconds)
            return threads(switches) - before[0], threads(switches, virsh.pid) - before[1]
        finally:
            virsh.terminate()


def rows_at_rest(bench, size):
    wait_quiet(bench.patience, 2)  # libvirt may be asked something still, and take its time
    bench.add("memory", f"the daemon's anonymous memory, {size} tagged", [anonymous_mib()], unit="MiB", size=size)
    if not bench.wants("idle") or 0 < size < 100:
        return
    ours, virsh = count_wakeups(bench.idle_seconds)
    bench.add("idle", f"wake-ups in {bench.idle_seconds} s, {size} tagged", [ours], unit="", size=size,
              peer=("virsh event, whom libvirt's keepalive wakes as well", [virsh]))


def grow(bench, size):
    """The fleet of that size, ready. Not by the daemon's own events where it is large: row fill is its start."""
    have = sum(name.startswith("fleet") for name in stored_files())
    if have >= size:
        return
    daemon.stop()
    with contextlib.closing(connect()) as connection:
        define_all(connection, names(size)[have:])
    taken = start_daemon(bench.patience)
    wait_marks(dict.fromkeys(names(size)), 1)
    bench.add("fill", f"the daemon's start, {size - have} of {size} not prepared yet, until all are", [taken], size=size)


ROWS = ("define", "edit", "at-once", "fill", "start", "start-defines", "memory", "idle")


def measure_size(bench, size, with_fleet):
    """A part that takes too long leaves the others their turn; without the fleet there is none."""
    parts = ((rows_of_start, ("start", "start-defines")), (rows_at_rest, ("memory", "idle")),
             (rows_of_changes, ("define", "edit")), (with_fleet, ()))
    if 10 <= size <= 100 and bench.wants("at-once"):
        bench.attempt(row_at_once, "at-once", size)
    if not bench.attempt(grow, "fill", size):
        return
    for part, rows in parts:
        if not rows or bench.wants(*rows):
            bench.attempt(part, rows[0] if rows else "plan", size)


def measure(bench, with_fleet):
    """`with_fleet` (bench, size) measures what else depends on how many there are."""
    if bench.wants("memory", "idle"):
        bench.attempt(rows_at_rest, "memory", 0)
    for size in bench.sizes:
        measure_size(bench, size, with_fleet)
    remove_all()
