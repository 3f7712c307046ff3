# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bursts again as an ordinary user, whose daemon has no real-time priority to read libvirt's folder in time."""
import os

from session_user import Session
from lib import check, main, note, run, test

HERE = os.path.dirname(os.path.abspath(__file__))
PASSED_ON = ("BURSTS", "LONG_BURSTS", "UNDEFINE_PAIRS", "STRESS_SEED")


@test("all of case_bursts, on qemu:///session")
def as_user():
    user = Session()
    process = user.start_daemon()
    settings = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        result = run(*user.command("/usr/bin/python3", f"{HERE}/case_bursts.py", DAEMON_LOG=user.log.name, **settings),
                     ok=None, deadline=900)
        for line in result.stdout.splitlines():
            note(line)
        check(result.returncode == 0 and "not ok" not in result.stdout, "something was lost, see above")
    finally:
        process.kill()
        process.wait()
        user.kill()


main()
