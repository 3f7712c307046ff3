# SPDX-License-Identifier: LGPL-2.1-or-later
"""sequester: one of two twins is on vfio-pci from boot on and never was on its driver, by the initramfs or without."""
import json

from harness.spec import Machine

MACHINE = Machine()

LIST = "/etc/vfio-profile/sequester"
# Debian's default image has the graphics drivers; that of these machines has few modules.
MODULES = "/etc/initramfs-tools/modules"


def kernel_log(vm):
    # Not journalctl's: what a program writes into it is not of the kernel's for that.
    return vm.sh("dmesg --notime").out.splitlines()


def check_never(vm, card, twin):
    """The kernel's log has the card kept before the first driver came, and nothing of a driver of its own."""
    address, other = vm.machine.spec.address(card), vm.machine.spec.address(twin)
    vm.wait("the twin has its driver", lambda: vm.driver(twin) == "bochs-drm", 60)
    log = kernel_log(vm)
    drm = [line for line in log if "bochs-drm" in line and "vgaarb" not in line]
    vm.check(any(other in line for line in drm), f"the log has no driver of the twin's: {drm}")
    vm.check(not any(address in line for line in drm), f"the card was on its driver: {drm}")
    kept = f"vfio-profile: {address} is kept for vfio-pci"
    vm.check(kept in log, "nothing says that the card is kept")
    vm.check(log.index(kept) < log.index(drm[0]), f"a driver was there before the card was kept: {drm[0]}")
    vm.equal([vm.driver(card), vm.driver(twin)], ["vfio-pci", "bochs-drm"], "the drivers of the card and its twin")
    vm.sh(f"test ! -e /sys/bus/pci/devices/{address}/drm")


def states(vm):
    return {one["address"]: one["state"] for one in json.loads(vm.sh("vfio-profile sequester --list --json").out)}


def settings(vm):
    return vm.sh("find /etc -type f -o -type d | sort").out


def run(vm):
    first, second = (vm.machine.spec.address(card) for card in ("gpu1", "gpu2"))

    vm.step("the cards are twins on one driver; the boot display and what the host needs are refused")
    ids = vm.sh(f"cd /sys/bus/pci/devices; cat {first}/vendor {first}/device {second}/vendor {second}/device").out.split()
    vm.equal(ids[:2], ids[2:], "the cards' ids")
    vm.equal([vm.driver("gpu1"), vm.driver("gpu2")], ["bochs-drm", "bochs-drm"], "the cards' drivers")
    before = settings(vm)
    boot = vm.sh("dirname $(grep -lx 1 /sys/bus/pci/devices/*/boot_vga)").out.strip().rsplit("/", 1)[1]
    vm.check("--force" in vm.sh(f"vfio-profile sequester {boot}", ok=False).err, "the boot display is not refused")
    disk = vm.sh("basename $(readlink -f /sys/block/vda/device/..)").out.strip()
    vm.check("is mounted on /" in vm.sh(f"vfio-profile sequester {disk}", ok=False).err, "the system's disk is not refused")
    vm.equal(settings(vm), before, "the files below /etc")

    vm.step("sequester gpu1, and make an initramfs that has the cards' driver")
    vm.sh(f"cp {MODULES} /root/modules && echo bochs >> {MODULES}")
    vm.sh(f"vfio-profile sequester --initramfs {first}", deadline=240)
    vm.equal(states(vm), {first: "next-boot"}, "what --list says")
    vm.machine.take_initrd()

    vm.step("reboot with it")
    vm.reboot()

    vm.step("gpu1 is on vfio-pci and never was on its driver, gpu2 is on it")
    check_never(vm, "gpu1", "gpu2")
    vm.equal(states(vm), {first: "ready"}, "what --list says")

    vm.step("undo; sequester gpu2, and keep the initramfs that knows nothing of it")
    vm.sh(f"cp /root/modules {MODULES} && vfio-profile sequester --undo && test ! -e {LIST}")
    vm.equal(settings(vm), before, "the files below /etc")
    vm.sh(f"vfio-profile sequester {second}")
    vm.machine.drop_initrd()

    vm.step("reboot")
    vm.reboot()

    vm.step("gpu2 is on vfio-pci and never was on its driver, by modprobe alone; gpu1 is back on it")
    check_never(vm, "gpu2", "gpu1")

    vm.step("undo: nothing is left, not in an initramfs either")
    vm.sh("vfio-profile sequester --undo")
    vm.equal(settings(vm), before, "the files below /etc")
    vm.sh("mkdir /tmp/image && DESTDIR=/tmp/image /usr/share/initramfs-tools/hooks/vfio-profile && rmdir /tmp/image")
    vm.sh(f"cd /sys/bus/pci/devices/{second} && echo > driver_override && echo {second} > driver/unbind && "
          f"echo {second} > /sys/bus/pci/drivers_probe")
    vm.equal(vm.driver("gpu2"), "bochs-drm", "the card's driver")
