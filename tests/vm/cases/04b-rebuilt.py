# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel uses no IOMMU; then it does, a card is taken out, and the other has its address."""
import json

from harness.refusal import refuse
from harness.spec import Card, Machine

KEPT = Card("gpu2", device="cirrus-vga")
# Debian's kernel uses the IOMMU without being told.
MACHINE = Machine(kernel="intel_iommu=off", cores=2, threads=1, nodes=1, mib=1024, cards=(Card("gpu1"), KEPT))


def run(vm):
    first, second = (vm.machine.spec.address(name) for name in ("gpu1", "gpu2"))
    vm.step("without an IOMMU a start is refused, and the host stays as it was")
    other = vm.define("other", cards=["gpu1"], vcpus=1, mib=64)
    vm.define("gone", cards=["gpu2"], vcpus=1, mib=64)
    for name in ("other", "gone"):
        vm.sh(f"vfio-profile set {name} pinned")
    refuse(vm, "other", first, "the host uses no IOMMU", "take intel_iommu=off out of the kernel's command line")

    vm.step("the doctor says the same, and there is no group")
    report = json.loads(vm.sh("vfio-profile doctor --json", ok=False).out)
    found = next(check for check in report["checks"] if check["check"] == "iommu.use")
    vm.equal(found["result"], "FAIL", "what the doctor says of the IOMMU")
    vm.check("the firmware has it on" in found["seen"] and "intel_iommu=off" in found["advice"], str(found))
    vm.check("no IOMMU groups" in vm.sh("vfio-profile groups", ok=False).err, "groups does not say that there are none")

    vm.step("boot with an IOMMU, and without the first card")
    vm.rebuild(kernel="intel_iommu=on", cards=(KEPT,))
    vm.equal(vm.machine.spec.address("gpu2"), first, "the address of the card that is left")

    vm.step("at the first card's address is another one, and at the second's none")
    refuse(vm, "other", first, "1013:00b8", "is another device", "it was 1234:1111", "vfio-profile set")
    refuse(vm, "gone", second, "it was 1013:00b8", f"one like that is at {first} now", "correct the <hostdev>")

    vm.step("this one is meant: set again, and it starts")
    vm.sh("vfio-profile set other pinned")
    other.start()
    vm.equal(vm.driver("gpu2"), "vfio-pci", "the card's driver")
    other.stop()
