#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vfio-profile doctor and groups: what the report and the groups look like.

Usage: test-doctor.py VFIO-PROFILE DATA-FOLDER HOOK PROGRAM STATE-FOLDER RUN-FOLDER

DATA-FOLDER is tests/data of the source tree; the others are paths of this build. Prints TAP.
"""

import json
import os
import pty
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is
from doctor_machine import DATA, HOOK, I7_3770K, PROGRAM, Machine, environment, run
from tap import main

# --- groups ---------------------------------------------------------------------


def groups(*arguments):
    return {group["group"]: group for group in json.loads(run("groups", "--json", *arguments)[0])}


def test_howto():
    """groups: those of the machine of 2015 come out as in the howto"""
    found = groups("--sysfs", f"{DATA}/sysfs/howto-2015")
    assert sorted(found) == list(range(13)), sorted(found)
    verdicts = {number: group["verdict"] for number, group in found.items()}
    assert {number for number, verdict in verdicts.items() if verdict == "no"} == {0, 8, 9, 11}, verdicts
    assert verdicts[2] == "host" and verdicts[1] == verdicts[12] == "yes", verdicts
    assert [device["address"] for device in found[1]["devices"]] == ["0000:00:01.0", "0000:01:00.0", "0000:01:00.1"]
    assert [device["endpoint"] for device in found[1]["devices"]] == [False, True, True]
    for words in ("0000:01:00.0 and 0000:01:00.1 can be assigned, together", "0000:00:01.0 above does not isolate",
                  "no ACS", "stays with the host"):
        assert words in found[1]["reason"], found[1]
    assert "bridges and ports" in found[9]["reason"] and "nothing" in found[9]["reason"], found[9]
    assert [device["parent"] for device in found[9]["devices"]] == [None, "0000:00:1c.7"], found[9]
    assert "not to be assigned: parts of the board" in found[11]["reason"], found[11]
    assert found[12]["reason"] == "0000:02:00.0 and 0000:02:00.1 can be assigned, together and to one guest"
    assert not found[12]["ready"] and found[12]["devices"][0]["driver"] == "radeon", found[12]


def test_tree():
    """groups: a tree with drivers, each device below its bridge; plain ASCII where the locale is"""
    text = run("groups", "--sysfs", f"{DATA}/sysfs/howto-2015")[0]
    assert "\033" not in text and len(text.splitlines()) == 13 + 19, text
    assert re.search(r"^Group 1: yes: .*\n└─ 0000:00:01\.0 PCI bridge.*, driver pcieport\n"
                     r"   ├─ 0000:01:00\.0 VGA display.*\[10de:1381\], driver nouveau\n"
                     r"   └─ 0000:01:00\.1 audio.*driver snd_hda_intel\n", text, re.M), text
    plain = subprocess.run([PROGRAM, "groups", "--sysfs", f"{DATA}/sysfs/howto-2015"], capture_output=True, text=True,
                           env={**environment(), "LC_ALL": "C"}, check=True).stdout
    assert "|- 0000:01:00.0" in plain and plain.isascii(), plain


def test_board():
    """groups: a host bridge in a card's group spoils it with a driver alone; doctor judges alike"""
    machine = Machine()
    link = machine.path("sys/bus/pci/devices/0000:00:00.0/iommu_group")
    os.unlink(link)
    os.symlink("../../../kernel/iommu_groups/12", link)
    machine.guest(cards=("0000:02:00.0", "0000:02:00.1"), profile=None)
    for driver, verdict, result in ((None, "yes", "OK"), ("pci-stub", "yes", "OK"), ("ie31200_edac", "no", "FAIL")):
        machine.bind("0000:00:00.0", driver)
        found = groups("--sysfs", machine.path("sys"))[12]
        assert found["verdict"] == verdict, (driver, found)
        assert ("0000:00:00.0" in found["reason"]) is False and found["ready"] == (verdict == "yes"), (driver, found)
        judged = machine.checks("win10")["domain.devices"]
        assert [one for one, _ in judged] == [result], (driver, judged)
    assert "parts of the board" in judged[0][1], judged


def test_no_groups():
    """groups: without an IOMMU it says so, and where to look"""
    err = run("groups", "--sysfs", f"{DATA}/sysfs/no-iommu", status=1)[1]
    assert "no IOMMU groups" in err and "vfio-profile doctor" in err, err


# --- the report -------------------------------------------------------------------


def test_good():
    """a machine that is set up has no WARN and no FAIL, and the exit status is 0"""
    machine = Machine()
    machine.guest()
    bad = {check: found for check, found in machine.checks("win10").items() for result, _ in found if result != "OK"}
    assert bad == {}, bad
    out, _ = machine.run("win10", status=0)
    assert "Debian GNU/Linux 12 (bookworm)" in out and " 0 WARN, 0 FAIL" in out, out
    assert "\033" not in out, out


def test_bad():
    """a FAIL is exit status 1 and one line on stderr; a WARN is 0"""
    machine = Machine()
    machine.bind("0000:02:00.0", "radeon")
    assert " 0 FAIL" in machine.run(status=0)[0]
    machine.remove(HOOK)
    out, err = machine.run(status=1)
    assert err == "vfio-profile: 1 check failed\n", err
    assert re.search(r"^FAIL +hook installed .*\n +to do: install vfio-profile again", out, re.M), out
    report = json.loads(machine.run("--json")[0])
    assert report["worst"] == "FAIL" and report["family"] == "debian" and report["domain"] is None, report
    for one in report["checks"]:
        assert set(one) == {"check", "title", "result", "seen", "advice"} and one["seen"], one


def test_terminal():
    """colour on a terminal only"""
    master, slave = pty.openpty()
    with subprocess.Popen([PROGRAM, "doctor", "--root", Machine().folder], stdout=slave, stderr=subprocess.DEVNULL,
                          env=environment()) as process:
        os.close(slave)
        output = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            output += chunk
        process.wait(30)
    os.close(master)
    assert b"\033[32mOK" in output, output


def test_empty():
    """a machine of which nothing is known is looked at all the same"""
    os.makedirs("nothing", exist_ok=True)
    out, _ = run("doctor", "--root", "nothing", status=1)
    assert "IOMMU in use" in out and "an unknown distribution" in out, out


def test_usage():
    """a domain that is not there, and options that do not go together"""
    assert "there is no definition of a domain 'bogus'" in Machine().run("bogus", status=1)[1]
    assert "--root" in run("doctor", "--topology", I7_3770K, status=2)[1]


if __name__ == "__main__":
    main(globals())
