# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the rows share: times, a fleet of domains, and the table that they are printed in."""
import contextlib
import json
import os
import re
import statistics
import subprocess
import time

from lib import CONFIG, connect, daemon, domain_xml, remove

NO_PAGES = "<vfio:memory page-size='off'/>"
MARK = re.compile(rb" write=(['\"])([0-9a-f-]{36})\1")
QUIET = 0.1  # seconds without the daemon on a CPU: nothing is left to do


class TooLong(Exception):
    """What is measured did not come to its end while there was patience; the text says what."""


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class Table:
    """Rows as they come: a line of Markdown each, or of JSON. Growth is told at the end."""

    def __init__(self, as_json):
        self.as_json = as_json
        self.rows = []

    def begin(self):
        if not self.as_json:
            print("| row | measure | unit | median | 99 % | beside it | median | 99 % | ratio |\n"
                  "|---|---|---|---|---|---|---|---|---|", flush=True)

    def add(self, row, measure, values, unit="ms", size=None, peer=None):
        """`values`: of all rounds; `peer`: what did less or the same in this run, and its values."""
        if peer is not None:
            peer = (peer[0], statistics.median(peer[1]), percentile(peer[1], 0.99))
        self.add_summary(row, measure, statistics.median(values), percentile(values, 0.99), unit, len(values), size, peer)

    def add_summary(self, row, measure, median, p99, unit="ms", rounds=None, size=None, peer=None):
        """The same, of what somebody else counted."""
        entry = {"row": row, "measure": measure, "unit": unit, "rounds": rounds, "size": size, "median": median,
                 "p99": p99}
        if peer is not None:
            entry["peer"] = dict(zip(("measure", "median", "p99"), peer))
        self._print(entry)

    def fail(self, row, measure, reason, size=None):
        """It could not be measured; the reason stands in the table."""
        self._print({"row": row, "measure": measure, "size": size, "problem": str(reason)})

    def _print(self, entry):
        self.rows.append(entry)
        if self.as_json:
            print(json.dumps(entry), flush=True)
        else:
            print(line_of(entry), flush=True)

    def growth(self):
        """(row, size, how many times as much as with 10)"""
        for row in dict.fromkeys(entry["row"] for entry in self.rows):
            sized = [entry for entry in self.rows if entry["row"] == row and entry.get("median")]
            first = next((entry for entry in sized if entry["size"] == 10), None)
            for entry in sized:
                if first is not None and entry["size"] > 10:
                    yield row, entry["size"], ratio(entry["median"], first["median"])

    def print_growth(self):
        lines = [f"| {row} | {size} | x {times} |" for row, size, times in self.growth()]
        if lines and not self.as_json:
            print("\n| growth from 10 | to | median |\n|---|---|---|")
            print("\n".join(lines), flush=True)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(one, other):
    return number(one / other) if other else "-"


def line_of(entry):
    name = entry["row"] + (f"-{entry['size']}" if entry["size"] is not None else "")
    if "problem" in entry:
        return f"| {name} | {entry['measure']} | | {entry['problem']} | | | | | |"
    cells = [name, entry["measure"], entry["unit"], number(entry["median"]), number(entry["p99"])]
    peer = entry.get("peer")
    if peer is None:
        return f"| {' | '.join(cells)} | | | | |"
    cells += [peer["measure"], number(peer["median"]), number(peer["p99"]), ratio(entry["median"], peer["median"])]
    return f"| {' | '.join(cells)} |"


def milliseconds(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - begin) * 1000


def time_programs(rounds, *commands, stdin=None):
    """The milliseconds of each command, a list each; they take turns, so that a busy moment meets all alike."""
    times = [[] for _ in commands]
    for _ in range(rounds):
        for index, command in enumerate(commands):
            begin = time.perf_counter()
            subprocess.run(command, input=stdin, check=True, capture_output=True)
            times[index].append((time.perf_counter() - begin) * 1000)
    return times


# --- the daemon ---------------------------------------------------------------------------------


def threads(field, pid=None):
    """A number of each of the daemon's threads, or of another process's, summed."""
    pid, total = pid or daemon.pid(), 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += field(f"/proc/{pid}/task/{task}")
    return total


def on_cpu(task):
    with open(f"{task}/schedstat") as file:
        return int(file.read().split()[0])


def switches(task):
    with open(f"{task}/status") as file:
        return int(re.search(r"^voluntary_ctxt_switches:\t(\d+)$", file.read(), re.M).group(1))


def wait_quiet(patience, quiet=QUIET):
    """When the daemon was last on a CPU, by time.perf_counter, once it has been off it for a while."""
    begin = last = time.perf_counter()
    before = threads(on_cpu)
    while time.perf_counter() - last < quiet:
        time.sleep(0.005)
        now = threads(on_cpu)
        if now != before:
            last, before = time.perf_counter(), now
        if last - begin > patience:
            raise TooLong(f"still at work after {patience} s")
    return last


def anonymous_mib():
    with open(f"/proc/{daemon.pid()}/status") as file:
        return int(re.search(r"^RssAnon:\s+(\d+) kB$", file.read(), re.M).group(1)) / 1024


# --- definitions --------------------------------------------------------------------------------


def mark_of(name):
    """That of our last define, in what libvirt keeps; None: none yet."""
    try:
        with open(f"{CONFIG}/{name}.xml", "rb") as file:
            found = MARK.search(file.read())
    except FileNotFoundError:
        return None
    return found.group(2) if found else None


def wait_marks(before, patience):
    """Until each of these domains has another mark than it had; {name: mark}."""
    end = time.perf_counter() + patience
    waiting = dict(before)
    while True:
        waiting = {name: mark for name, mark in waiting.items() if mark_of(name) in (None, mark)}
        if not waiting:
            return time.perf_counter()
        if time.perf_counter() > end:
            raise TooLong(f"{len(waiting)} of {len(before)} were not prepared after {patience} s")
        time.sleep(0.0002)


def guest(name, vcpus=1):
    return domain_xml(name, "pinned", NO_PAGES, vcpus=vcpus, mib=16)


def names(number_of):
    return [f"fleet{number:04}" for number in range(number_of)]


def define_all(connection, domains):
    for name in domains:
        connection.defineXML(guest(name))


def remove_all():
    with contextlib.closing(connect()) as connection:
        for domain in connection.listAllDomains():
            remove(domain)
