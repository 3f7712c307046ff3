# SPDX-License-Identifier: LGPL-2.1-or-later
"""The 2015 outcome: a tagged BIOS guest has its screen on the assigned card."""
import time

from harness.picture import Picture
from harness.spec import Machine

MACHINE = Machine()

GREEN = (0x00, 0xa8, 0x00)  # what the guest's boot sector paints, in the six bits a colour of VGA


def run(vm):
    vm.step("define a guest with gpu1, reserve pages on the card's node, set 'vga pinned'")
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=256)
    untouched = guest.xml()
    vm.reserve(node=0, pages=128)
    vm.sh("vfio-profile set retro vga pinned")

    vm.step("virsh start")
    guest.start()
    begin = time.monotonic()

    vm.step("the card is bound to vfio-pci in its group, and x-vga is on for it")
    address = vm.machine.spec.address("gpu1")
    vm.equal(vm.driver("gpu1"), "vfio-pci", "the card's driver")
    vm.equal(vm.driver("gpu2"), "bochs-drm", "the other card's driver")
    vm.sh(f"test -c /dev/vfio/$(basename $(readlink /sys/bus/pci/devices/{address}/iommu_group))")
    vm.equal([(device["host"], device.get("x-vga")) for device in guest.pci_devices()], [(address, True)], "x-vga")

    vm.step("vCPUs are on the two threads of a core of the card's node, and the pages are there")
    cpus = guest.cpus()
    vm.equal([cpus["CPU 0"], cpus["CPU 1"]], ["2", "3"], "the vCPUs' CPUs")
    vm.equal(cpus["qemu-system-x86"], "0-1", "the emulator's CPUs")
    vm.equal(guest.hugepages(), {0: 128}, "the guest's pages, by node")

    vm.step("the card shows the guest's screen")
    guest.wait_up()
    seconds = time.monotonic() - begin
    shot = Picture(vm.screenshot("gpu1", "01-x-vga"))
    vm.equal(shot.size, (720, 400), "the size of the picture, which is text mode's")
    vm.check(shot.share(GREEN) > 0.9, f"only {shot.share(GREEN):.0%} of the card's picture are the guest's")
    guest.stop()
    vm.equal(vm.driver("gpu1"), "bochs-drm", "the card's driver when the guest is gone")

    vm.step("control, without x-vga, on the other card: twice the time, and no guest's screen")
    control = vm.define("control", cards=["gpu2"], vcpus=2, mib=256)
    control.start()
    vm.equal([device.get("x-vga") for device in control.pci_devices()], [None], "x-vga")
    time.sleep(2 * seconds)
    vm.equal(control.state(), "running", "the guest")
    dark = Picture(vm.screenshot("gpu2", "01-without-x-vga"))
    vm.check(dark.share(GREEN) < 0.01, f"{dark.share(GREEN):.0%} of the card's picture are the guest's")
    control.stop()

    vm.step("unset: the definition is as it was")
    vm.sh("vfio-profile unset retro")
    vm.equal(guest.xml(), untouched, "the definition")
