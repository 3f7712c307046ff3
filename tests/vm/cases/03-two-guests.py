# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two guests with two cards on two nodes, started at the same moment."""
from harness.spec import Machine

MACHINE = Machine()


def cpu_set(text):
    """{2, 3} of '2-3'."""
    found = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def vcpu_cpus(guest):
    return set().union(*(cpu_set(cpus) for thread, cpus in guest.cpus().items() if thread.startswith("CPU ")))


def run(vm):
    vm.step("define a guest for each card, reserve pages on both nodes, set 'pinned'")
    near = vm.define("near", cards=["gpu1"], vcpus=2, mib=256)
    far = vm.define("far", cards=["gpu2"], vcpus=4, mib=256)
    vm.reserve(node=0, pages=128)
    vm.reserve(node=1, pages=128)
    vm.sh("vfio-profile set near pinned && vfio-profile set far pinned")

    vm.step("start both at once")
    vm.sh("virsh start near & virsh start far && wait $!", deadline=90)

    vm.step("each is on its card's node, and they share no CPU")
    vm.equal(vcpu_cpus(near), {2, 3}, "the first guest's CPUs")
    vm.equal(vcpu_cpus(far), {4, 5, 6, 7}, "the second guest's CPUs")
    vm.equal(near.hugepages(), {0: 128}, "the first guest's pages, by node")
    vm.equal(far.hugepages(), {1: 128}, "the second guest's pages, by node")
    vm.equal([vm.driver("gpu1"), vm.driver("gpu2")], ["vfio-pci", "vfio-pci"], "the cards' drivers")

    vm.step("stop both: everything is given back")
    vm.sh("virsh destroy near & virsh destroy far && wait $!")
    vm.equal([vm.driver("gpu1"), vm.driver("gpu2")], ["bochs-drm", "bochs-drm"], "the cards' drivers")
    vm.equal(vm.free_pages(), {0: 128, 1: 128}, "free pages, by node")
