# SPDX-License-Identifier: LGPL-2.1-or-later
"""The gate refuses what cannot be: one line, at once, and the host stays as it was."""
import json
import re

from harness.guest import Guest, domain_xml
from harness.refusal import check_line, refuse
from harness.spec import Card, Machine

MACHINE = Machine(cores=2, nodes=1, mib=2048, cards=(
    Card("gpu1"), Card("hd", audio=True), Card("old1", bridge="pci"), Card("old2", bridge="pci")))


def define(vm, name, card):
    """With all that a start may take: CPUs that are cleared, pages."""
    found = vm.define(name, cards=[card], vcpus=2, mib=256)
    vm.write_profile("alone", "[cpu]\\nisolate=yes\\n")
    vm.sh(f"vfio-profile set {name} pinned alone")
    return found


def drivers(vm, *addresses):
    return vm.sh("".join(f"basename $(readlink /sys/bus/pci/devices/{each}/driver);" for each in addresses)).out.split()


def check_groups(vm):
    spec = vm.machine.spec
    group = {device["address"]: found for found in json.loads(vm.sh("vfio-profile groups --json").out)
             for device in found["devices"]}
    alone = group[spec.address("gpu1")]
    vm.equal((alone["verdict"], len(alone["devices"])), ("yes", 1), "the first card's group")
    for one, other in ((spec.address("hd"), spec.address("hd", 1)), (spec.address("old1"), spec.address("old2"))):
        vm.equal(group[one], group[other], f"the group of {one} and {other}")
    vm.equal(group["0000:01:00.0"]["verdict"], "host", "the group of the display that the host started on")


def check_doctor(vm, card):
    found = {}
    for check in json.loads(vm.sh("vfio-profile doctor --json", ok=None).out)["checks"]:
        found.setdefault(check["check"], []).append(check)
    for name in ("iommu.use", "iommu.interrupts", "hook.installed", "hook.registered", "hook.called", "daemon.runs"):
        vm.equal([check["result"] for check in found.get(name, [])], ["OK"], f"the doctor's {name}: {found.get(name)}")
    seen = [check["result"] for check in found["devices.cards"] if check["seen"].startswith(card)]
    vm.equal(seen, ["OK"], f"what the doctor says of {card}: {found['devices.cards']}")


def run(vm):
    spec = vm.machine.spec
    vm.step("groups: each card's, the bridge's, and that of a card with audio")
    check_groups(vm)

    vm.step("a card whose audio has a driver of the host's; with it, it starts")
    card, audio = spec.address("hd"), spec.address("hd", 1)
    define(vm, "silent", "hd")
    refuse(vm, "silent", card, audio, "snd_hda_intel", "IOMMU group", "assign it to the domain as well")
    vm.define_xml(domain_xml("loud", [card, audio], vcpus=2, mib=256, rom=False))
    loud = Guest(vm, "loud")
    loud.start()
    vm.equal(drivers(vm, card, audio), ["vfio-pci", "vfio-pci"], "the drivers of both")
    loud.stop()

    vm.step("a card behind a bridge, whose neighbour has a driver of the host's")
    define(vm, "neighbour", "old1")
    refuse(vm, "neighbour", spec.address("old1"), spec.address("old2"), "bochs-drm", "IOMMU group", "use another slot")

    vm.step("a card that a process has open")
    address = spec.address("gpu1")
    define(vm, "drawn", "gpu1")
    node = vm.sh(f"ls /sys/bus/pci/devices/{address}/drm | grep card").out.strip()
    pid = vm.sh(f"setsid sleep 600 < /dev/dri/{node} > /dev/null 2>&1 & echo $!").out.strip()
    refuse(vm, "drawn", address, f"sleep ({pid}) has /dev/dri/{node} open", "stop who has it open")
    vm.sh(f"kill {pid}")

    vm.step("one card, two guests, started at once: one gets it, and the other is refused again")
    pair = [define(vm, name, "gpu1") for name in ("one", "other")]
    vm.sh("for name in one other; do virsh start $name 2> /tmp/$name & done; wait", deadline=90)
    winner, loser = sorted(pair, key=Guest.state)
    vm.equal((winner.state(), loser.state()), ("running", "shut off"), "the guests")
    check_line(vm, loser.name, vm.sh(f"cat /tmp/{loser.name}").out, address, f"'{winner.name}'")
    refuse(vm, loser.name, address, f"'{winner.name}'", "shut that down first")
    winner.stop()

    vm.step("hugetlbfs is not mounted, or was not when libvirt started")
    vm.sh("systemctl stop dev-hugepages.mount")
    refuse(vm, loser.name, "hugepages of 2M", "no hugetlbfs", "restart libvirt")
    advice = re.search(r"'(mkdir .*?)'", vm.sh(f"virsh start {loser.name}", ok=False).err)[1]
    vm.sh(advice)
    refuse(vm, loser.name, "hugepages of 2M", "/dev/hugepages2M", "restart libvirt")

    vm.step("what they said is done, and the guest starts; the doctor has no complaint")
    vm.sh("systemctl restart libvirtd")
    loser.start()
    check_doctor(vm, address)
    loser.stop()
    vm.sh("umount /dev/hugepages2M && systemctl start dev-hugepages.mount && systemctl restart libvirtd")
