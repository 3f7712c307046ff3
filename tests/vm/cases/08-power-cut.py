# SPDX-License-Identifier: LGPL-2.1-or-later
"""The power is cut while a guest runs and definitions are being rewritten."""
from harness.spec import Machine

MACHINE = Machine()

NAMES = [f"other{n}" for n in range(4)]

# Tags and edits without an end, by the command line and by libvirt, so that the daemon writes as well.
EDITS = """
while :; do
  for name in NAMES; do
    vfio-profile set $name pinned; virsh setvcpus $name 1 --config; virsh setvcpus $name 2 --config
    vfio-profile unset $name
  done
done
""".replace("NAMES", " ".join(NAMES))


def run(vm):
    vm.step("a tagged guest runs with gpu1, and others are edited without an end")
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=256)
    for name in NAMES:
        vm.define(name, vcpus=2, mib=64)
    vm.reserve(node=0, pages=128)
    vm.sh("vfio-profile set retro vga pinned")
    guest.start()
    vm.write("/root/edits", EDITS)
    vm.sh("setsid sh /root/edits > /dev/null 2>&1 < /dev/null &")
    vm.sh("sleep 10; pgrep -f /root/edits")

    vm.step("power cut, and boot")
    vm.power_cut()

    vm.step("all definitions are whole, and nothing is held")
    vm.equal(sorted(vm.sh("virsh list --all --name").out.split()), sorted(["retro", *NAMES]), "the domains")
    for name in ["retro", *NAMES]:
        vm.sh(f"virsh dumpxml --inactive {name} > /dev/null && vfio-profile plan --file /etc/libvirt/qemu/{name}.xml")
    vm.wait("no definition is stale or invalid", lambda: not {"stale", "invalid"} & set(
        vm.sh("vfio-profile status", ok=None).out.split()))
    vm.equal(vm.free_pages(), {0: 0, 1: 0}, "pages in the pools, which the boot made empty")
    vm.equal(vm.driver("gpu1"), "bochs-drm", "the card's driver")

    vm.step("the guest starts, tuned, and so does one that was being edited")
    vm.reserve(node=0, pages=256)
    guest.start()
    vm.equal([device.get("x-vga") for device in guest.pci_devices()], [True], "x-vga")
    guest.stop()
    vm.sh(f"vfio-profile unset {NAMES[0]} && virsh start {NAMES[0]}")
