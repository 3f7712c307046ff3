# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the user's <qemu:override> names by libvirt's numbers stays with the same card, and so does his own x-vga."""
from harness import guest
from harness.spec import Machine

MACHINE = Machine()

QEMU_NS = "http://libvirt.org/schemas/domain/qemu/1.0"


def override(*properties):
    """The first device gets the first of them, and so on."""
    devices = "".join(f"<q:device alias='hostdev{number}'><q:frontend><q:property name='{name}' type='bool' value='true'/>"
                      "</q:frontend></q:device>" for number, name in enumerate(properties) if name)
    return f"<q:override xmlns:q='{QEMU_NS}'>{devices}</q:override></domain>"


def check_start(vm, own, expected):
    own.start()
    got = {device["host"]: {name for name, value in device.items() if name.startswith("x-") and value is True}
           for device in own.pci_devices()}
    vm.equal(got, {vm.machine.spec.address(card): set(names) for card, names in expected.items()}, "properties")
    vm.equal(own.state(), "running", "the guest")
    log = vm.sh("cat /var/log/libvirt/qemu/own.log").out
    vm.check("warning" not in log.rsplit("starting up libvirt", 1)[1], f"QEMU warns:\n{log}")
    own.stop()


def run(vm):
    vm.step("two cards, each with a property by its number")
    cards = [vm.machine.spec.address(card) for card in ("gpu1", "gpu2")]
    text = guest.domain_xml("own", cards, vcpus=2, rom=False)
    vm.define_xml(text.replace("</domain>", override("x-no-kvm-intx", "x-no-kvm-msi")))
    own = guest.Guest(vm, "own")
    untouched = own.xml()
    vm.sh("vfio-profile set own vga")

    vm.step("the first gets x-vga, and each keeps its own")
    check_start(vm, own, {"gpu1": ["x-vga", "x-no-kvm-intx"], "gpu2": ["x-no-kvm-msi"]})

    vm.step("the same by vga.method = override")
    vm.sh("vfio-profile set own vga --option vga.method=override")
    check_start(vm, own, {"gpu1": ["x-vga", "x-no-kvm-intx"], "gpu2": ["x-no-kvm-msi"]})
    vm.sh("vfio-profile unset own")
    vm.equal(own.xml(), untouched, "the definition")

    vm.step("the second has x-vga of the user's own: nothing is added")
    vm.sh("virsh undefine own")
    vm.define_xml(text.replace("</domain>", override("", "x-vga")))
    vm.sh("vfio-profile set own vga")
    check_start(vm, own, {"gpu1": [], "gpu2": ["x-vga"]})
    vm.check("gives the assigned device" in vm.sh("vfio-profile status own").out, "status does not say it")
    vm.sh("vfio-profile unset own && virsh undefine own")
