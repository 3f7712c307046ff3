# SPDX-License-Identifier: LGPL-2.1-or-later
"""vfio-profile map: a guest that runs is shown by its live pins, one that is stopped by its definition."""
import json

from lib import check, check_equal, connect, defined, domain_xml, main, need_cpus_beside_the_host, profile_tool, test, virsh

PINS = "<cputune><vcpupin vcpu='0' cpuset='0'/></cputune>"


def guests():
    got = json.loads(profile_tool("map", "--json").stdout)
    return {guest["name"]: (guest["state"], guest["pins"]["vcpus"]) for guest in got["guests"]}


@test("running guests are shown by what they run with, stopped ones by their definition")
def states():
    need_cpus_beside_the_host()
    connection = connect()
    with defined(connection, domain_xml("runs", head=PINS)) as domain, \
         defined(connection, domain_xml("rests", head=PINS)), defined(connection, domain_xml("free")):
        check_equal(guests(), {"runs": ("stopped", ["0"]), "rests": ("stopped", ["0"]), "free": ("stopped", [None])},
                    "before the start")
        domain.create()
        virsh("vcpupin", "runs", "0", "1", "--live")
        check_equal(guests(), {"runs": ("running", ["1"]), "rests": ("stopped", ["0"]), "free": ("stopped", [None])},
                    "with pins changed live")
        text = profile_tool("map").stdout
        for line in ("A  free (stopped): 1 vCPU, unpinned", "B  rests (stopped): 1 vCPU on 1 ",
                     "C  runs (running): 1 vCPU on 1 "):
            check(line in text, f"'{line}' is not in\n{text}")
        check("conflict" not in text, text)
        virsh("vcpupin", "runs", "0", "0", "--live")
        check("conflict: CPU 0: held by B and C" in profile_tool("map").stdout, profile_tool("map").stdout)
        picture = profile_tool("map", "--svg", "-").stdout
        check("C</text>" in picture and "runs (running)" in picture, picture)


main()
