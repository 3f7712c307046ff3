# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several guests: side by side where there is room, never silently on each other's CPUs."""
import contextlib
import json
import threading

import libvirt

from lib import (LogWatch, Qemu, Skip, check, check_equal, connect, daemon, defined, definition, domain_xml,
                 is_running, main, note, online_cpus, pins, profile_tool, stop, test, virsh, wait_ready,
                 wait_until)

ROUNDS = 10
NO_RESERVE = "<vfio:cpu reserve-cores='0'/>"
REFUSE = "<vfio:cpu reserve-cores='0' conflict='refuse'/>"

connection = connect()


def need_two_cpus():
    if len(online_cpus()) < 2:
        raise Skip("needs two CPUs")


def live_pins(name):
    return {vcpu: cpus for vcpu, cpus in Qemu(name).vcpu_affinities().items()}


@contextlib.contextmanager
def two(vcpus, overrides):
    with defined(connection, domain_xml("one", "pinned", overrides, vcpus=vcpus)) as one, \
         defined(connection, domain_xml("other", "pinned", overrides, vcpus=vcpus)) as other:
        wait_ready("one")
        wait_ready("other")
        yield one, other


def wait_pins(domain, wanted):
    wait_until(f"{domain.name()} is pinned to {wanted}", lambda: pins(definition(domain)) == wanted, 5)


@test("two small guests get CPUs of their own, and run on them")
def side_by_side():
    need_two_cpus()
    log = LogWatch()
    with two(1, NO_RESERVE) as (one, other):
        wait_until("their pins differ", lambda: pins(definition(one)) != pins(definition(other)), 5)
        one.create()
        other.create()
        check(live_pins("one") != live_pins("other"), f"both run on {live_pins('one')}")
        check_equal(log.count("are shared"), 0, "lines about shared CPUs")
        states = json.loads(profile_tool("status", "--json").stdout)
        check_equal([s["state"] for s in states], ["ready", "ready"], "states")
        check(not any("domain '" in text for s in states for text in s["warnings"]), f"status warns: {states}")


@test("a guest that somebody pinned by hand is gone around while it runs")
def by_hand():
    need_two_cpus()
    last = str(max(online_cpus()))
    with defined(connection, domain_xml("tagged", "pinned", NO_RESERVE)) as tagged:
        wait_ready("tagged")
        wait_pins(tagged, {"0": last})
        transient = connection.createXML(domain_xml("hand", head=f"<cputune><vcpupin vcpu='0' cpuset='{last}'/></cputune>"))
        try:
            wait_until("it makes way", lambda: pins(definition(tagged)) != {"0": last}, 5)
            # Pins that are changed while the guest runs count, too.
            virsh("vcpupin", "hand", "0", "0", "--live")
            wait_until("it makes way again", lambda: pins(definition(tagged)) != {"0": "0"}, 5)
        finally:
            stop(transient)
        wait_ready("tagged")


@test("share: the second start works, and the log names guest and CPUs")
def share():
    need_two_cpus()
    everything = len(online_cpus())
    with two(everything, NO_RESERVE) as (one, other):
        warnings = json.loads(profile_tool("plan", "--json", "one").stdout)["warnings"]
        check(any("planned for domain 'other' as well" in warning for warning in warnings), f"plan warns: {warnings}")
        one.create()
        log = LogWatch()
        wait_ready("other")
        other.create()
        log.wait_for("its CPUs are those of guests that run: 'one' (")
        log.wait_for("they are shared")
        check(is_running(one) and is_running(other), "one of them does not run")


def refusal(domain):
    try:
        domain.create()
    except libvirt.libvirtError as error:
        return error.get_error_message()
    raise AssertionError("the start was not refused")


@test("refuse: the second start is refused with the name of the first, until that one ends")
def refuse():
    need_two_cpus()
    with two(len(online_cpus()), REFUSE) as (one, other):
        one.create()
        wait_ready("other")
        text = refusal(other)
        note(text.strip())
        check("'one' (" in text and "cpu.conflict is refuse" in text, f"the refusal does not say it: {text}")
        check(is_running(one), "the first one does not run any more")
        one.destroy()
        other.create()
        check(is_running(other), "it was refused although the other one had ended")


@test("refuse holds over a restart of the daemon, from its first moment on")
def restarted():
    need_two_cpus()
    with two(len(online_cpus()), REFUSE) as (one, other):
        one.create()
        wait_ready("other")
        daemon.kill()
        daemon.start()
        check("'one' (" in refusal(other), "the refusal does not name the guest that runs")


@test("a start before the daemon knows who runs: pins that were made beside another guest are good")
def unseen():
    need_two_cpus()
    with defined(connection, domain_xml("one", "pinned")) as one, \
         defined(connection, domain_xml("other", "pinned")) as other:
        wait_ready("one")
        for _ in range(5):
            one.create()
            wait_until("it makes way", lambda: pins(definition(other)) != pins(definition(one)), 5)
            wait_ready("other")
            daemon.stop()
            one.destroy()
            daemon.start()
            other.create()
            check(is_running(other), "it does not run")
            stop(other)
            wait_until("it has the better CPU again", lambda: pins(definition(other)) == pins(definition(one)), 5)


@test(f"two starts at the same moment, {ROUNDS} times: one of them wins")
def race():
    need_two_cpus()
    with two(len(online_cpus()), REFUSE) as (one, other):
        for _ in range(ROUNDS):
            results = {}

            def start(name, results=results):
                try:
                    connect().lookupByName(name).create()
                    results[name] = True
                except libvirt.libvirtError as error:
                    results[name] = False
                    check("are those of guests that run" in error.get_error_message(), error.get_error_message())

            threads = [threading.Thread(target=start, args=(name,)) for name in ("one", "other")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            check_equal(sorted(results.values()), [False, True], "outcomes of the two starts")
            stop(one)
            stop(other)


main()
