# SPDX-License-Identifier: LGPL-2.1-or-later
"""grant: an ordinary user starts a tagged guest with an assigned card on qemu:///session."""
import re

from harness import guest
from harness.picture import Picture
from harness.spec import Machine

MACHINE = Machine()

USER = "alice"
HOME = f"/home/{USER}"
UNIT = "session"
GREEN = (0x00, 0xa8, 0x00)  # what the guest's boot sector paints
LIMIT_KIB = (256 + 1024) * 1024  # the guest's memory, and what libvirt adds


def user(vm, command, **settings):
    """Runs a command after a login of the user's."""
    return vm.sh(f"runuser -l {USER} -c \"export LIBVIRT_DEFAULT_URI=qemu:///session; {command}\"", **settings)


def log_out(vm):
    """The user's libvirt goes as well, and the next one has the limits of the next login."""
    vm.sh(f"loginctl terminate-user {USER}; pkill -u {USER}", ok=None)
    vm.wait("no process of the user's is left", lambda: vm.sh(f"pgrep -u {USER}", ok=None).exit == 1)


def settings(vm):
    return vm.sh("find /etc -type f -o -type d | sort").out


def session_xml(vm):
    """A guest with its files in the user's home, and a device that the user's libvirt cannot rebind."""
    text = guest.domain_xml("mine", [vm.machine.spec.address("gpu1")], vcpus=2, mib=256)
    for old, new in (("managed='yes'", "managed='no'"), (guest.DISK, f"{HOME}/guest.img"),
                     (guest.SERIAL.format(name="mine"), f"{HOME}/serial")):
        text = text.replace(old, new)
    return text


class SessionGuest(guest.Guest):
    def pid_file(self):
        return f"/run/user/$(id -u {USER})/libvirt/qemu/run/{self.name}.pid"

    def says(self):
        return self._vm.sh(f"cat {HOME}/serial", ok=None).out


def run(vm):
    address = vm.machine.spec.address("gpu1")
    node = "/dev/vfio/" + vm.sh(f"basename $(readlink /sys/bus/pci/devices/{address}/iommu_group)").out.strip()

    vm.step("a user defines a guest with the card")
    vm.sh(f"useradd --create-home {USER} && cp {guest.DISK} {HOME}/guest.img")
    vm.write(f"{HOME}/mine.xml", session_xml(vm))
    before = settings(vm)
    user(vm, f"virsh define {HOME}/mine.xml")
    log_out(vm)

    vm.step("refused: root, nobody, the boot display")
    boot = vm.sh("dirname $(grep -lx 1 /sys/bus/pci/devices/*/boot_vga)").out.strip().rsplit("/", 1)[1]
    for words in (f"root {address}", f"not-there {address}", f"{USER} {boot}"):
        vm.sh(f"vfio-profile grant {words}", ok=False)
    vm.equal(settings(vm), before, "the files below /etc")

    vm.step("grant; the card is detached, as it is from the next boot on")
    vm.sh(f"vfio-profile grant {USER} {address}")
    vm.sh(f"virsh nodedev-detach pci_{re.sub('[:.]', '_', address)}")
    vm.equal(vm.driver("gpu1"), "vfio-pci", "the card's driver")
    vm.wait("the group's node is the user's", lambda: vm.sh(f"stat -c '%U %a' {node}").out.strip() == f"{USER} 600")
    vm.equal(user(vm, "ulimit -l").out.strip(), str(LIMIT_KIB), "what the user may lock")
    vm.equal(vm.sh(f"systemctl show -P LimitMEMLOCK user@$(id -u {USER}).service").out.strip(), str(LIMIT_KIB * 1024),
             "what the user's systemd may lock")

    vm.step("the user's daemon runs; the guest is tagged with what a session can have, and starts")
    vm.sh(f"systemd-run --quiet --unit={UNIT} --service-type=exec runuser -l {USER} -c 'exec /usr/sbin/vfio-profiled --session'")
    vm.wait("it answers", lambda: vm.sh(f"test -S /run/user/$(id -u {USER})/vfio-profile/gate.sock", ok=None).exit == 0)
    user(vm, "vfio-profile set mine nvidia vga pinned --option memory.page-size=off")
    user(vm, "virsh start mine", deadline=90)

    vm.step("it is the user's own process, pinned, hidden, with x-vga, and shows its screen on the card")
    mine = SessionGuest(vm, "mine")
    vm.equal(vm.sh(f"stat -c %U /proc/$(cat {mine.pid_file()})").out.strip(), USER, "whose process it is")
    cpus = mine.cpus()
    vm.equal([cpus["CPU 0"], cpus["CPU 1"]], ["2", "3"], "the vCPUs' CPUs")
    vm.equal([(device["host"], device.get("x-vga")) for device in mine.pci_devices()], [(address, True)], "x-vga")
    vm.check("<hidden state='on'/>" in user(vm, "virsh dumpxml mine").out, "KVM is not hidden")
    mine.wait_up()
    shot = Picture(vm.screenshot("gpu1", "13-session"))
    vm.equal(shot.size, (720, 400), "the size of the picture, which is text mode's")
    vm.check(shot.share(GREEN) > 0.9, f"only {shot.share(GREEN):.0%} of the card's picture are the guest's")
    user(vm, "virsh destroy mine && virsh undefine mine")

    vm.step("undo: the node is root's, and nothing is left")
    vm.sh(f"systemctl stop {UNIT}; vfio-profile grant --undo {USER}")
    vm.equal(vm.sh(f"stat -c '%U %a' {node}").out.strip(), "root 600", "the group's node")
    vm.equal(settings(vm), before, "the files below /etc")
    vm.sh(f"virsh nodedev-reattach pci_{re.sub('[:.]', '_', address)}")
    vm.equal(vm.driver("gpu1"), "bochs-drm", "the card's driver")
    log_out(vm)
    vm.sh(f"userdel --remove {USER}")
