# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job: a tagged domain starts pinned, on hugepages, with KVM and Hyper-V hidden."""
import json
import os
import signal
import xml.etree.ElementTree as ET

import libvirt

from hyperv import FULL, NEED_VPINDEX, check_log, for_kvm, hyperv_words, tool_filter, without_kvm
from lib import (LogWatch, Qemu, Skip, check, check_equal, connect, cpus_of_first_core, daemon, defined, definition, domain_xml, has,
                 main, need_cpus_beside_the_host, note, online_cpus, parse_cpus, pins, plan, profile_tool, test, virsh,
                 wait_ready)

# As virt-manager writes it for Windows.
HYPERV = "<hyperv mode='custom'><relaxed state='on'/><vapic state='on'/><spinlocks state='on' retries='8191'/></hyperv>"
CLOCK = ("<clock offset='localtime'><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/>"
         "<timer name='hypervclock' present='yes'/></clock>")

connection = connect()


def check_threads_follow_the_plan(name):
    wanted = {vcpu: parse_cpus(cpus) for vcpu, cpus in enumerate(plan(name)["pins"]["vcpus"])}
    got = {vcpu: parse_cpus(cpus) for vcpu, cpus in Qemu(name).vcpu_affinities().items()}
    check_equal(got, wanted, "the CPUs of the vCPU threads in /proc")
    return got


@test("a domain defined with the tag is prepared, started pinned and on hugepages")
def tagged_domain():
    need_cpus_beside_the_host()
    with defined(connection, domain_xml("tagged", "pinned")) as domain:
        wait_ready("tagged")
        check(pins(definition(domain)), "the stored definition has no vcpupin")
        domain.create()
        got = check_threads_follow_the_plan("tagged")
        check(not got[0] & cpus_of_first_core(), f"vCPU 0 is on {got[0]}, a CPU of the host's own core")
        check_equal(Qemu("tagged").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")
        emulator = parse_cpus(plan("tagged")["pins"]["emulator"])
        # A pool's workers inherit the CPUs of the thread that starts them.
        others = {cpus for name, cpus in Qemu("tagged").threads() if not name.startswith(("CPU ", "worker"))}
        check_equal({frozenset(parse_cpus(cpus)) for cpus in others}, {frozenset(emulator)}, "the other threads' CPUs")


@test("'vfio-profile set' on an untagged domain does the same")
def set_by_command():
    need_cpus_beside_the_host()
    with defined(connection, domain_xml("plain")) as domain:
        check(not pins(definition(domain)), "an untagged domain was pinned")
        profile_tool("set", "plain", "pinned")
        wait_ready("plain")
        virsh("start", "plain")
        check_threads_follow_the_plan("plain")
        check_equal(Qemu("plain").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")


@test("'status' says what a running guest holds, and where it is not as planned; so does the log")
def drift():
    need_cpus_beside_the_host()
    with defined(connection, domain_xml("drifts", "pinned")) as domain:
        wait_ready("drifts")
        domain.create()

        def status():
            (entry,) = json.loads(profile_tool("status", "--json", "drifts").stdout)
            return entry

        check_equal(status()["drift"], [], "a guest that has just started")
        check(any("hugepages" in line or "pages" in line for line in status()["holds"]), f"holds {status()['holds']}")
        qemu, log = Qemu("drifts"), LogWatch()
        (task,) = [task for task in os.listdir(f"/proc/{qemu.pid}/task")
                   if qemu.read(f"task/{task}/comm").startswith("CPU 0/")]
        os.sched_setaffinity(int(task), online_cpus())
        check(any(line.startswith("vCPU 0 may run on CPUs") for line in status()["drift"]), f"{status()['drift']}")
        check("not as planned: vCPU 0 may run" in profile_tool("status").stdout, "the table does not say it")
        os.kill(daemon.pid(), signal.SIGHUP)
        log.wait_for("domain 'drifts': not as it was planned: vCPU 0 may run on CPUs")


@test("profile nvidia: kvm=off, no hv-* and no hypervclock in QEMU's arguments")
def hidden_domain():
    with defined(connection, domain_xml("hidden", "nvidia", features=HYPERV, clock=CLOCK)) as domain:
        wait_ready("hidden")
        domain.create()
        (cpu,) = Qemu("hidden").option("-cpu")
        words = cpu.split(",")
        check("kvm=off" in words, f"kvm=off is missing in -cpu {cpu}")
        check(not [word for word in words if word.startswith(("hv-", "hv_"))], f"Hyper-V is visible in -cpu {cpu}")
        running = domain.XMLDesc()
        check(not has(running, "clock/timer[@name='hypervclock']"), "the running domain has hypervclock")
        check(not has(running, "features/hyperv"), "the running domain has <hyperv>")
        check(has(running, "clock/timer[@name='hpet']"), "the user's other timers are gone")


@test("profile gaming: Hyper-V stays, with a vendor id of its own")
def spoofed_domain():
    with defined(connection, domain_xml("gaming", "gaming", features=HYPERV, clock=CLOCK)) as domain:
        wait_ready("gaming")
        text = definition(domain)
        check(has(text, "features/hyperv/relaxed"), "<relaxed> is gone")
        check(has(text, "features/hyperv/vendor_id[@state='on']"), "there is no vendor_id")
        check(has(text, "clock/timer[@name='hypervclock']"), "hypervclock is gone")


# Without its clock: that comes with the set.
FEW = {"features": HYPERV, "clock": "<clock offset='localtime'><timer name='hpet' present='no'/></clock>"}


def parts(text, place):
    return sorted(ET.canonicalize(ET.tostring(node), strip_text=True) for node in ET.fromstring(text).find(place))


@test("hyperv = full: libvirt keeps the set as it is, gives QEMU each with what it needs, and undo leaves the few")
def full_set():
    before = for_kvm(domain_xml("set", "gaming", **FEW), "")
    full = tool_filter("rewrite", xml=before)
    connection.defineXMLFlags(without_kvm(full), libvirt.VIR_DOMAIN_DEFINE_VALIDATE).undefine()
    with defined(connection, without_kvm(full)) as domain:
        arguments = virsh("domxml-to-native", "qemu-argv", "--domain", domain.name()).stdout.split()
        check_equal(hyperv_words(arguments[arguments.index("-cpu") + 1]), FULL, "-cpu")
        for place in ("features/hyperv", "clock"):
            check_equal(parts(definition(domain), place), parts(full, place), place)
    undone = tool_filter("rewrite", "--undo", xml=full)
    for place in ("features/hyperv", "clock"):
        check_equal(parts(undone, place), parts(before, place), f"undone, {place}")


@test("hyperv = full beside vpindex off: none that needs it, so that QEMU starts, and says nothing")
def full_set_without_one():
    features = HYPERV.replace("</hyperv>", "<vpindex state='off'/></hyperv>")
    full = tool_filter("rewrite", xml=for_kvm(domain_xml("part", "gaming", **{**FEW, "features": features}), ""))
    with defined(connection, without_kvm(full)) as domain:
        domain.create()
        check_equal(hyperv_words(Qemu("part").option("-cpu")[0]), FULL - NEED_VPINDEX, "-cpu")
        check_log("part")


@test("as many vCPUs as the machine has CPUs: pinned to all, with a warning")
def whole_machine():
    cpus = online_cpus()
    if not 2 <= len(cpus) <= 8:
        raise Skip(f"made for 2 to 8 CPUs, this machine has {len(cpus)}")
    with defined(connection, domain_xml("whole", "pinned", vcpus=len(cpus))) as domain:
        wait_ready("whole")
        found = plan("whole")
        check(found["warnings"], "no warning that the host's reserved core is used")
        note(found["warnings"])
        domain.create()
        got = check_threads_follow_the_plan("whole")
        check_equal(set().union(*got.values()), cpus, "the CPUs of all vCPUs together")
        check(all(len(one) == 1 for one in got.values()), f"a vCPU has more than one CPU: {got}")


@test("more vCPUs than CPUs: it starts unpinned, with a warning that says both numbers")
def too_large():
    count = os.cpu_count() + 1
    if count > 9:
        raise Skip(f"made for up to 8 CPUs, this machine has {count - 1}")
    with defined(connection, domain_xml("large", "pinned", vcpus=count)) as domain:
        wait_ready("large")
        text = " ".join(plan("large")["warnings"])
        check(str(count) in text and str(count - 1) in text, f"the warning names not both numbers: '{text}'")
        domain.create()
        check_equal(pins(definition(domain)), {}, "vcpupin of a domain that does not fit")


@test("a topology that follows the host's CPUs: libvirt keeps it, QEMU is told, undo takes it away")
def topology():
    need_cpus_beside_the_host()
    overrides = "<vfio:cpu topology='match'/>"
    with defined(connection, domain_xml("shown", "pinned", overrides)) as domain:
        wait_ready("shown")
        check(has(definition(domain), "cpu/topology[@threads='1']"), "no topology in the definition")
        domain.create()
        words = Qemu("shown").option("-smp")[0].replace("clusters=1,", "")  # libvirt's own since 10.1
        check_equal(words, "1,sockets=1,dies=1,cores=1,threads=1", "-smp")
        domain.destroy()
        profile_tool("unset", "shown")
        check(not has(definition(domain), "cpu/topology"), "the topology is still there")


main()
