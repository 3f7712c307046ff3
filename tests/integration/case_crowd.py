# SPDX-License-Identifier: LGPL-2.1-or-later
"""Four clients edit one domain at once while the daemon prepares it: at the end it holds what all of them did."""
import os
import random
import threading

from edits import Edits, arguments, check_against_twin, edited_domain, fire
from lib import RECOVERED, LogWatch, check, connect, defined, main, note, test, virsh, wait_ready

EDITS = int(os.environ.get("CROWD_EDITS", "200"))
CLIENTS = 4
MOST = 200  # of one client on one domain
SEED = int(os.environ.get("STRESS_SEED", str(random.randrange(1 << 30))))
NO_PAGES = "<vfio:memory page-size='off'/>"  # a user has none

connection = connect()


def at_once(apply, lists):
    """One thread a client."""
    problems = []

    def work(commands):
        try:
            apply(commands)
        except Exception as error:  # pylint: disable=broad-except
            problems.append(error)

    threads = [threading.Thread(target=work, args=(commands,)) for commands in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not problems, f"an edit failed: {problems}")


def crowd(apply, number, seed):
    lists = [Edits(seed, client, CLIENTS).take(number) for client in range(CLIENTS)]
    with defined(connection, edited_domain("busy", "pinned", NO_PAGES)) as domain:
        wait_ready("busy", 20)
        at_once(apply, lists)
        check_against_twin(domain, sum(lists, []), 20)


def crowds(apply):
    log = LogWatch()
    left = EDITS // CLIENTS
    for round_number in range(1000):
        number = min(left, MOST)
        if number == 0:
            break
        crowd(apply, number, SEED + round_number)
        left -= number
    note(f"seed {SEED}: {EDITS} edits of {CLIENTS} clients, prepared {log.count('prepared for')} times, "
         f"recovered {log.count(RECOVERED)} times")


@test(f"{EDITS} edits of {CLIENTS} clients at once, each its own command")
def commands_of_their_own():
    def apply(commands):
        for command in commands:
            virsh(*arguments(command, "busy"))

    crowds(apply)


@test(f"{EDITS} edits of {CLIENTS} clients at once, one connection each")
def connections():
    crowds(lambda commands: fire(commands, "busy"))


main()
