#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The systemd units: valid, confined, and each thing that is left open has its reason beside it.

Usage: test-units.py VFIO-PROFILED BUILT-DATA-FOLDER SOURCE-DATA-FOLDER

It asks systemd-analyze, which needs no systemd that runs. That the daemon works under
these settings is shown where there is one: in the suite with a whole machine.
"""
import configparser
import json
import os
import re
import shutil
import sys
import tempfile

from tap import main, note, run, test

DAEMON, BUILT, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
SERVICE = "vfio-profiled.service"
SOCKET = "vfio-profiled.socket"
MOST = 1.9  # of 10; below 2.0 is systemd's own best mark

# What is open, by the names that systemd-analyze has, and the words that explain it in the unit.
OPEN = {
    "UserOrDynamicUser": "User=root",
    "CapabilityBoundingSet_CAP_SYS_PTRACE": "CAP_SYS_PTRACE",
    "CapabilityBoundingSet_CAP_DAC_FOWNER_IPC_OWNER": "CAP_DAC_READ_SEARCH",
    "PrivateUsers": "PrivateUsers=",
    "ProcSubset": "ProcSubset=",
    "RestrictRealtime": "RestrictRealtime=",
    "SystemCallFilter_resources": "SCHED_RR",
    "RestrictAddressFamilies_AF_UNIX": "AF_UNIX",
    "RestrictAddressFamilies_AF_NETLINK": "AF_NETLINK",
    "PrivateDevices": "PrivateDevices=",
    "ProtectKernelTunables": "ProtectKernelTunables=",
    "RestrictSUIDSGID": "RestrictSUIDSGID=",
}
# Nobody's service is without these: systemd's own clock device, and the host's files.
COMMON = {"DeviceAllow", "ProtectClock", "RootDirectoryOrRootImage"}

folder = tempfile.mkdtemp()


def service_text():
    with open(f"{BUILT}/{SERVICE}", encoding="utf-8") as file:
        return file.read()


def prepare():
    """As installed, but that the program is the one which was built."""
    with open(f"{folder}/{SERVICE}", "w", encoding="utf-8") as file:
        file.write(re.sub(r"^ExecStart=\S+", f"ExecStart={DAEMON}", service_text(), flags=re.M))
    shutil.copy(f"{SOURCE}/{SOCKET}", folder)


@test("systemd finds nothing wrong with the units")
def verify():
    output = run("systemd-analyze", "verify", "--man=no", f"{folder}/{SERVICE}", f"{folder}/{SOCKET}")
    # Of other units on this machine.
    ours = [line for line in output.splitlines() if "vfio-profile" in line]
    assert not ours, "\n".join(ours)


def assess():
    command = ("systemd-analyze", "security", "--offline=true", "--no-pager")
    output = run(*command, "--threshold=100", f"{folder}/{SERVICE}")
    overall = float(re.search(r"exposure level for \S+: ([0-9.]+)", output).group(1))
    entries = json.loads(run(*command, "--json=short", f"{folder}/{SERVICE}", ok=None))
    return overall, {entry["json_field"]: entry for entry in entries if entry.get("exposure")}


@test(f"the exposure is {MOST} at most")
def exposure():
    overall, _ = assess()
    note(f"exposure {overall}")
    assert overall <= MOST, f"exposure {overall}"


@test("what is open is what the unit explains, and nothing else")
def explained():
    _, entries = assess()
    found = set(entries) - COMMON
    assert found <= set(OPEN), f"open without a reason: {sorted(found - set(OPEN))}"
    comments = " ".join(line for line in service_text().splitlines() if line.startswith("#"))
    for name in sorted(found):
        assert OPEN[name] in comments, f"{name}: nothing in the unit says why ({OPEN[name]})"


@test("the capabilities are the two that read")
def capabilities():
    found = re.findall(r"^CapabilityBoundingSet=(.*)$", service_text(), re.M)
    assert found == ["CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"], found
    assert "AmbientCapabilities" not in service_text()


@test("the gate is there before libvirt, and stays while the daemon starts anew")
def order():
    units = {}
    for name in (SERVICE, SOCKET):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str
        parser.read(f"{folder}/{name}", encoding="utf-8")
        units[name] = parser
    for unit in units.values():
        assert set(unit["Unit"]["Before"].split()) >= {"libvirtd.service", "virtqemud.service"}
    service = units[SERVICE]
    assert service["Unit"]["Requires"] == SOCKET and service["Unit"]["After"] == SOCKET
    assert service["Service"]["RuntimeDirectoryPreserve"] == "yes", "the socket would go with the daemon"
    assert units[SOCKET]["Socket"]["SocketMode"] == "0600" and units[SOCKET]["Socket"]["DirectoryMode"] == "0700"


prepare()
try:
    main(needs=("systemd-analyze",))
finally:
    shutil.rmtree(folder)
