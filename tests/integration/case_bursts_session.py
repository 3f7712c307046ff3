# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bursts and crowds as an ordinary user, whose daemon has no real-time priority to read libvirt's folder in time."""
import os

from session_user import Session
from lib import check, main, note, run, test

HERE = os.path.dirname(os.path.abspath(__file__))
PASSED_ON = ("BURSTS", "LONG_BURSTS", "UNDEFINE_PAIRS", "CROWD_EDITS", "STRESS_SEED")

user = Session()


def run_as_user(case):
    settings = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    result = run(*user.command("/usr/bin/python3", f"{HERE}/{case}.py", DAEMON_LOG=user.log.name, **settings), ok=None,
                 deadline=3600)
    for line in result.stdout.splitlines():
        note(line)
    check(result.returncode == 0 and "not ok" not in result.stdout, "something was lost, see above")


@test("all of case_bursts, on qemu:///session")
def bursts():
    run_as_user("case_bursts")


@test("all of case_crowd, on qemu:///session")
def crowd():
    run_as_user("case_crowd")


process = user.start_daemon()
try:
    main()
finally:
    process.kill()
    process.wait()
    user.kill()
