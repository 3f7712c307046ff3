# SPDX-License-Identifier: LGPL-2.1-or-later
"""No edit is lost, whenever it comes: 500 at random moments, and 500 as fast as a connection fires them."""
import os
import random
import time

import libvirt

from edits import Edits, arguments, check_against_twin, edited_domain, fire
from lib import (RECOVERED, LogWatch, check_equal, connect, defined, definition, main, note, test, virsh,
                 wait_ready)

COUNT = int(os.environ.get("STRESS_EDITS", "500"))
AIMED = COUNT // 4
SEED = int(os.environ.get("STRESS_SEED", str(random.randrange(1 << 30))))

connection = connect()


def stress(apply):
    commands = Edits(SEED).take(COUNT)
    note(f"seed {SEED}, {COUNT} edits")
    with defined(connection, edited_domain("busy", "pinned")) as domain:
        wait_ready("busy")
        log = LogWatch()
        begin = time.monotonic()
        apply(commands)
        note(f"{COUNT} edits took {time.monotonic() - begin:.1f} s")
        check_against_twin(domain, commands)
        note(f"prepared {log.count('prepared for')} times, an edit recovered {log.count(RECOVERED)} times")


@test(f"{COUNT} edits at random moments, each its own command")
def at_random_moments():
    def apply(commands):
        pauses = random.Random(SEED)
        for command in commands:
            virsh(*arguments(command, "busy"))
            # Around the time that the daemon needs for a rewrite, so that every moment of it is hit.
            time.sleep(pauses.uniform(0, 0.02))

    stress(apply)


@test(f"{COUNT} edits as fast as one connection fires them")
def at_once():
    stress(lambda commands: fire(commands, "busy"))


@test(f"{AIMED} edits aimed at the moment of a rewrite")
def aimed():
    moments = random.Random(SEED)
    config = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    pins = (True, True) + (False,) * (os.cpu_count() - 2)  # a set of two, which is never planned

    def edit(domain, number, pause):
        domain.pinVcpuFlags(0, pins, config)  # is put right again, at once
        end = time.monotonic() + pause
        while time.monotonic() < end:  # a sleep would be too coarse
            pass
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, f"<e n='{number}'/>", "e", f"urn:example:{number}",
                           config)

    with defined(connection, edited_domain("busy", "pinned")) as domain:
        wait_ready("busy")
        log = LogWatch()
        for number in range(AIMED):
            edit(domain, number, moments.uniform(0, 0.006))
            time.sleep(0.16)  # so that the next one is no burst, which the daemon would wait out
        wait_ready("busy", 30)

        def lost():
            text = definition(domain).replace('"', "'")
            return [number for number in range(AIMED) if f"urn:example:{number}'" not in text]

        # One that our define overwrote is back a moment later, which is longer under sanitizers.
        deadline = time.monotonic() + 5
        while lost() and time.monotonic() < deadline:
            time.sleep(0.02)
        note(f"prepared {log.count('prepared for')} times, an edit recovered {log.count(RECOVERED)} times")
        check_equal(lost(), [], "edits lost")


main()
