# SPDX-License-Identifier: LGPL-2.1-or-later
"""Four clients edit one domain at once while the daemon prepares it: at the end it holds what all of them did."""
import os
import random
import shlex
import subprocess
import threading
import time

from edits import Edits, arguments, check_against_twin, edited_domain
from lib import RECOVERED, LogWatch, check, connect, defined, main, note, test, virsh, wait_ready

EDITS = int(os.environ.get("CROWD_EDITS", "160"))
CLIENTS = 4
MOST = 200  # of one client on one domain
PATIENCE = 30
SEED = int(os.environ.get("STRESS_SEED", str(random.randrange(1 << 30))))
NO_PAGES = "<vfio:memory page-size='off'/>"  # a user has none

connection = connect()


def at_once(apply, lists):
    """One thread a client; how often a command was repeated."""
    repeated, problems = [], []

    def work(commands):
        try:
            repeated.append(apply(commands))
        except Exception as error:  # pylint: disable=broad-except
            problems.append(error)

    threads = [threading.Thread(target=work, args=(commands,)) for commands in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not problems, f"an edit failed: {problems}")
    return sum(repeated)


def insist(try_command, commands):
    """What our define overwrote is back a moment later, and a command that builds on it works then."""
    repeated = 0
    for command in commands:
        words = arguments(command, "busy")
        end = time.monotonic() + PATIENCE
        problem = first = try_command(words)
        while problem:
            check(time.monotonic() < end, f"{words}: {first}, and at last: {problem}")
            repeated += 1
            time.sleep(0.05)
            problem = try_command(words)
    return repeated


def crowd(apply, number, seed):
    lists = [Edits(seed, client, CLIENTS).take(number) for client in range(CLIENTS)]
    with defined(connection, edited_domain("busy", "pinned", NO_PAGES)) as domain:
        wait_ready("busy", 20)
        repeated = at_once(apply, lists)
        check_against_twin(domain, sum(lists, []), 20)
    return repeated


def crowds(apply):
    log = LogWatch()
    numbers = [min(MOST, EDITS // CLIENTS - begin) for begin in range(0, EDITS // CLIENTS, MOST)]
    repeated = sum(crowd(apply, number, SEED + begin) for begin, number in enumerate(numbers))
    note(f"seed {SEED}: {EDITS} edits of {CLIENTS} clients, prepared {log.count('prepared for')} times, "
         f"recovered {log.count(RECOVERED)} times; {repeated} commands repeated")


@test(f"{EDITS} edits of {CLIENTS} clients at once, each its own command")
def commands_of_their_own():
    def try_command(words):
        result = virsh(*words, ok=None)
        return result.stderr if result.returncode else ""

    crowds(lambda commands: insist(try_command, commands))


class Shell:
    """A virsh that stays: one connection."""

    def __init__(self):
        self.process = subprocess.Popen(["stdbuf", "-oL", "virsh", "--quiet"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

    def try_command(self, words):
        # What is written comes back as well, but with the quotes; and the third line ends that of the answer.
        self.process.stdin.write(f"{shlex.join(words)}\necho ans''wered\n\n")
        lines = []
        for line in self.process.stdout:
            if "answered" in line:
                break
            lines.append(line)
        return "".join(lines) if "error:" in "".join(lines) else ""

    def end(self):
        self.process.stdin.close()
        check(self.process.wait(20) is not None, "virsh did not end")


@test(f"{EDITS} edits of {CLIENTS} clients at once, one connection each")
def connections():
    def apply(commands):
        shell = Shell()
        try:
            return insist(shell.try_command, commands)
        finally:
            shell.end()

    crowds(apply)


main()
