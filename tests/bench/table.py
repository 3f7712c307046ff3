# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of what things cost; tests/bench/run starts it in a sandbox."""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from lib import daemon  # noqa: E402

import rows_fleet  # noqa: E402
from figures import Table  # noqa: E402


class Bench:
    """What is asked for, and where the rows go."""

    def __init__(self, options):
        self.build = options.build
        self.only = set(options.rows or ())
        self.quick = options.quick
        self.sizes = options.sizes or ([1, 10] if options.quick else [1, 10, 100, 1000])
        self.idle_seconds = 1 if options.quick else 60
        self.patience = options.patience
        self.table = Table(options.json)

    def wants(self, *rows):
        return not self.only or bool(self.only.intersection(rows))

    def add(self, row, *arguments, **named):
        if self.wants(row):
            self.table.add(row, *arguments, **named)

    def rounds(self, most=50, seconds=40):
        """Numbers the rounds: fewer where they take long, but no fewer than three."""
        begin = time.monotonic()
        for index in range(min(most, 3) if self.quick else most):
            if index >= 3 and time.monotonic() - begin > seconds:
                return
            yield index


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tests/bench/run BUILD", description=__doc__)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rows", nargs="+", metavar="NAME", choices=rows_fleet.ROWS,
                        help=f"these alone: {', '.join(rows_fleet.ROWS)}")
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="fleets of so many domains")
    parser.add_argument("--quick", action="store_true", help="few rounds, small fleets: to see that it works")
    parser.add_argument("--patience", type=int, default=120, metavar="SECONDS", help="for one step (default 120)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    return parser.parse_args(arguments)


def main():
    bench = Bench(parse(sys.argv[1:]))
    # As systemd starts it, without the log that the tests want.
    daemon.command = ["/usr/sbin/vfio-profiled"]
    daemon.restart()
    bench.table.begin()
    rows_fleet.measure(bench, lambda _bench, _size: None)
    bench.table.print_growth()


main()
