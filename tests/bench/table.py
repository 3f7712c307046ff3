# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of what things cost, each row beside its peer; tests/bench/run starts it in a sandbox."""
import argparse
import importlib.util
import math
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from lib import daemon  # noqa: E402

import rows_fleet  # noqa: E402
import rows_host  # noqa: E402
import rows_program  # noqa: E402
from figures import Table, TooLong  # noqa: E402

ROWS = rows_program.ROWS + rows_host.ROWS + rows_fleet.ROWS
MISSING = 77


class Bench:
    """What is asked for, and where the rows go."""

    def __init__(self, options):
        self.build = options.build
        self.only = set(options.rows or ())
        self.quick = options.quick
        self.pages = options.pages
        self.sizes = options.sizes or ([1, 10] if options.quick else [1, 10, 100, 1000])
        self.idle_seconds = 1 if options.quick else 60
        self.patience = options.patience
        self.table = Table(options.json)

    def wants(self, *rows):
        return not self.only or bool(self.only.intersection(rows))

    def add(self, row, *arguments, **named):
        if self.wants(row):
            self.table.add(row, *arguments, **named)

    def add_summary(self, row, *arguments, **named):
        if self.wants(row):
            self.table.add_summary(row, *arguments, **named)

    def rounds(self, most=50, seconds=40):
        """Numbers the rounds: fewer where they take long, but no fewer than three."""
        begin = time.monotonic()
        for index in range(min(most, 3) if self.quick else most):
            if index >= 3 and time.monotonic() - begin > seconds:
                return
            yield index

    def attempt(self, part, row, size):
        """False where it did not come to its end while there was patience; the table says so."""
        try:
            part(self, size)
        except TooLong as problem:
            self.table.fail(row, f"{size} tagged", problem, size)
            return False
        return True

    def problems(self):
        """Rows that are missing, or whose numbers cannot be."""
        came = {entry["row"] for entry in self.table.rows}
        wanted = [row for row in ROWS if self.wants(row) and (self.pages or row not in ("hook-1g", "hook-8g"))]
        return [f"{row}: missing" for row in wanted if row not in came] + [
            f"{entry['row']}: {entry}" for entry in self.table.rows if not is_sane(entry)]


def is_sane(entry):
    """No time is too long. At rest and at a start nothing may happen at all."""
    if "problem" in entry:
        return False
    numbers = [entry["median"], entry["p99"]] + [entry["peer"][key] for key in ("median", "p99") if "peer" in entry]
    if entry["row"] == "start-defines":
        return numbers == [0, 0]
    return all(math.isfinite(number) and (number > 0 or entry["row"] == "idle") for number in numbers)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tests/bench/run BUILD", description=__doc__)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rows", nargs="+", metavar="NAME", choices=ROWS, help=f"these alone: {', '.join(ROWS)}")
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="fleets of so many domains")
    parser.add_argument("--quick", action="store_true",
                        help="few rounds, small fleets: to see that it works. It fails where a row is missing")
    parser.add_argument("--pages", action="store_true", help="also with hugepages, 8 GiB: no other sandbox beside it")
    parser.add_argument("--patience", type=int, default=120, metavar="SECONDS", help="for one step (default 120)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    return parser.parse_args(arguments)


def check_peers():
    missing = [name for name in ("virt-xml", "virsh") if shutil.which(name) is None]
    if importlib.util.find_spec("lxml") is None:
        missing.append("python3-lxml")
    if missing:
        print(f"tests/bench: needs {', '.join(missing)} to measure beside", file=sys.stderr)
        sys.exit(MISSING)


def main():
    bench = Bench(parse(sys.argv[1:]))
    check_peers()
    # As systemd starts it, without the log that the tests want.
    daemon.command = ["/usr/sbin/vfio-profiled"]
    daemon.restart()
    bench.table.begin()
    rows_program.measure(bench)
    rows_host.measure(bench)
    if bench.wants(*rows_fleet.ROWS, "plan", "status", "rewrite"):
        rows_fleet.measure(bench, rows_program.rows_of_commands)
    bench.table.print_growth()
    problems = bench.problems() if bench.quick else []
    if problems:
        sys.exit("\n".join(problems))


main()
