# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's modular daemons: virtqemud serves qemu:///system, and libvirtd is off."""
import os

from harness import virtqemud
from harness.project import NAME
from harness.spec import Machine

MACHINE = Machine()

LIBVIRTD = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
SERVED = "virtqemud.service virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket"


def install(vm, folder):
    for name in ("virtqemud", *virtqemud.UNITS):
        with open(os.path.join(folder, name), "rb") as file:
            vm.write(f"/etc/systemd/system/{name}" if "." in name else f"/usr/sbin/{name}", file.read())
    vm.sh("chmod 755 /usr/sbin/virtqemud && systemctl daemon-reload")


def pid(vm):
    return vm.sh("systemctl show -P MainPID virtqemud.service").out.strip()


def check_tuned(vm, guest):
    cpus = guest.cpus()
    vm.equal([cpus["CPU 0"], cpus["CPU 1"]], ["2", "3"], "the vCPUs' CPUs")
    vm.equal(guest.hugepages(), {0: 64}, "the guest's pages, by node")
    vm.equal([device.get("x-vga") for device in guest.pci_devices()], [True], "x-vga")


def run(vm):
    vm.step("make virtqemud, unless it is there")
    folder = virtqemud.find_virtqemud()

    vm.step("no package, no hook: libvirtd off, virtqemud on")
    vm.dpkg("--remove vfio-profile")
    install(vm, folder)
    vm.sh(f"systemctl disable --now {LIBVIRTD} && systemctl enable --now {SERVED}", deadline=120)
    vm.sh("test ! -e /run/libvirt/libvirt-sock && virsh list")

    vm.step("the package: virtqemud learns of its first hook without a restart")
    server = pid(vm)
    vm.dpkg(f"--install /root/{NAME}")
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=128)
    untouched = guest.xml()
    vm.sh("vfio-profile set retro vga pinned nvidia")
    guest.start()
    vm.equal(pid(vm), server, "virtqemud's process")

    vm.step("pins, x-vga, kvm=off, and pages that the hook's daemon allocated")
    check_tuned(vm, guest)
    words = guest.arguments()
    vm.check("kvm=off" in words[words.index("-cpu") + 1].split(","), "KVM is not hidden")

    vm.step("virtqemud restarts: the guest runs on, and the daemon is with the new one")
    vm.sh("systemctl restart virtqemud.service")
    vm.check(pid(vm) != server, "it is the same process")
    vm.equal(guest.state(), "running", "the guest")
    check_tuned(vm, guest)
    vm.define("other", vcpus=2, mib=64,
              head="<metadata><v:profile xmlns:v='urn:vfio-profile:1' name='pinned'/></metadata>")
    vm.wait("the daemon prepares a definition", lambda: "ready" in vm.sh("vfio-profile status other", ok=None).out)

    vm.step("the guest stops: all is given back, and unset puts the definition back")
    guest.stop()
    vm.equal(vm.driver("gpu1"), "bochs-drm", "the card's driver")
    vm.wait("no pages are left", lambda: vm.free_pages() == {0: 0, 1: 0}, 10)
    vm.sh("vfio-profile unset retro")
    vm.equal(guest.xml(), untouched, "the definition")

    vm.step("libvirtd again")
    vm.sh(f"systemctl disable --now {SERVED} && systemctl enable --now {LIBVIRTD}", deadline=120)
    vm.sh("virsh list --all && systemctl is-active vfio-profiled.service")
