# SPDX-License-Identifier: LGPL-2.1-or-later
"""vCPUs that are offline: nothing makes way for them, and when they are plugged they run as planned."""
import contextlib
import json

import libvirt

from lib import (LogWatch, Qemu, Skip, check, check_equal, connect, daemon, defined, definition, domain_xml, main,
                 note, online_cpus, pins, plan, profile_tool, test, virsh, wait_ready, wait_until)

NO_RESERVE = "<vfio:cpu reserve-cores='0' conflict='refuse'/>"
LISTED = """<vcpus>
  <vcpu id='0' enabled='yes' hotpluggable='no'/>
  <vcpu id='1' enabled='no' hotpluggable='yes'/>
  <vcpu id='2' enabled='yes' hotpluggable='yes'/>
</vcpus>"""

connection = connect()


def need_two_cpus():
    if online_cpus() != {0, 1}:
        raise Skip("is written for a host of two CPUs")


def offline_xml(name, maximum, current, listed="", overrides=""):
    text = domain_xml(name, "pinned", overrides, vcpus=maximum)
    return text.replace(f"<vcpu placement='static'>{maximum}</vcpu>",
                        f"<vcpu placement='static' current='{current}'>{maximum}</vcpu>{listed}")


def planned(name):
    return {str(i): cpus for i, cpus in enumerate(plan(name)["pins"]["vcpus"]) if cpus is not None}


def check_qemu(name):
    """QEMU's own words in its log, but for those of its end; the command itself is libvirt's."""
    with open(f"/var/log/libvirt/qemu/{name}.log") as file:
        words = [line for line in file if "qemu-system-x86_64: " in line and "terminating on signal" not in line]
    check_equal(words, [], "what QEMU complains of")


@contextlib.contextmanager
def running(xml):
    with defined(connection, xml) as domain:
        wait_ready(domain.name())
        domain.create()
        yield domain
        check_qemu(domain.name())


def affinities(name):
    return {str(vcpu): cpus for vcpu, cpus in Qemu(name).vcpu_affinities().items()}


def wait_live(domain, wanted):
    wait_until(f"{domain.name()} has the live pins {wanted}", lambda: pins(domain.XMLDesc()) == wanted, 5)


def guest_of_map(name):
    return next(guest for guest in json.loads(profile_tool("map", "--json").stdout)["guests"] if guest["name"] == name)


@test("one of three runs: it is placed as if it were alone, and those that are plugged run as planned")
def plugged():
    need_two_cpus()
    with running(offline_xml("one", 3, 1)) as domain:
        check_equal(plan("one")["warnings"], [], "warnings")
        check_equal(pins(definition(domain)), {"0": "1", "1": "0", "2": "0"}, "pins")
        check_equal(pins(definition(domain), "emulatorpin"), {None: "0"}, "the emulator's")
        check_equal(affinities("one"), {"0": "1"}, "before")
        wanted = planned("one")
        virsh("setvcpus", "one", "2", "--live")
        check_equal(affinities("one"), {vcpu: wanted[vcpu] for vcpu in "01"}, "with one more")
        wait_ready("one")
        check_equal(planned("one"), wanted, "the plan of its next start")
        daemon.kill()
        try:
            virsh("setvcpus", "one", "3", "--live")
            check_equal(affinities("one"), wanted, "with one more while the daemon is away")
        finally:
            daemon.start()


@test("with --config more of them run at the next start, and are placed as such")
def config():
    need_two_cpus()
    with running(offline_xml("later", 2, 1, overrides=NO_RESERVE)) as domain:
        virsh("setvcpus", "later", "2", "--config")
        wait_ready("later")
        check_equal(pins(domain.XMLDesc()), {"0": "1", "1": "0"}, "the live pins")
        domain.destroy()
        wait_ready("later")
        domain.create()
        check_equal(affinities("later"), planned("later"), "both")
        check_equal(set(planned("later").values()), {"0", "1"}, "CPUs")


@test("<vcpus>: what it does not name is off; gaps are as good")
def listed():
    need_two_cpus()
    with running(offline_xml("gaps", 4, 2, LISTED)) as domain:
        check_equal(pins(definition(domain)), {"0": "0", "2": "1"}, "pins on a host that is full")
        check_equal(affinities("gaps"), {"0": "0", "2": "1"}, "before")
        guest = guest_of_map("gaps")
        check_equal((guest["vcpus"], guest["offline"], guest["pinned"]), (2, 2, 2), "counts of the map")
        note(profile_tool("map").stdout)


@test("what is left changes while the guest runs: vCPUs have it before they are plugged")
def follows():
    need_two_cpus()
    with running(offline_xml("moves", 2, 1, overrides=NO_RESERVE)) as domain:
        wait_live(domain, {"0": "1", "1": "0"})
        virsh("vcpupin", "moves", "0", "0", "--live")
        wait_live(domain, {"0": "0", "1": "1"})
        daemon.kill()
        try:
            virsh("setvcpus", "moves", "2", "--live")
            check_equal(affinities("moves"), {"0": "0", "1": "1"}, "plugged")
        finally:
            daemon.start()


@test("an offline vCPU holds nothing; once it is plugged it does, and a start on its CPU is refused")
def holds():
    need_two_cpus()
    other_xml = domain_xml("other", "pinned", NO_RESERVE)
    with running(offline_xml("grows", 2, 1, overrides=NO_RESERVE)) as domain, \
         defined(connection, other_xml) as other:
        wait_until("the other one is planned beside it", lambda: pins(definition(other)) == {"0": "0"}, 5)
        wait_ready("other")
        other.create()
        other.destroy()
        log = LogWatch()
        virsh("setvcpus", "grows", "2", "--live")
        check_equal(affinities("grows"), {"0": "1", "1": "0"}, "plugged")
        wait_until("there is nothing left for the other one", lambda: any(
            "'grows', which runs" in warning for warning in plan("other")["warnings"]), 5)
        wait_until("the daemon knows", lambda: is_refused(other), 5)
        check(domain.isActive(), "it does not run any more")
        note(log.text())


def is_refused(domain):
    try:
        domain.create()
    except libvirt.libvirtError as error:
        return "'grows' (" in error.get_error_message()
    domain.destroy()
    return False


main()
