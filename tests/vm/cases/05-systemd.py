# SPDX-License-Identifier: LGPL-2.1-or-later
"""systemd: units enabled, autostart tuned after a reboot, socket activation, a confined daemon."""
import re

from harness.spec import Machine

MACHINE = Machine()


def check_tuned(vm, guest):
    cpus = guest.cpus()
    vm.equal([cpus["CPU 0"], cpus["CPU 1"]], ["2", "3"], "the vCPUs' CPUs")
    vm.equal(guest.hugepages(), {0: 128}, "the guest's pages, by node")
    vm.equal([device.get("x-vga") for device in guest.pci_devices()], [True], "x-vga")


def since_boot(vm, unit, event):
    return int(vm.sh(f"systemctl show -P {event}TimestampMonotonic {unit}").out)


def run(vm):
    vm.step("the units are enabled, and the daemon has few rights")
    vm.sh("systemctl is-enabled vfio-profiled.service vfio-profiled.socket")
    text = vm.sh("systemd-analyze security --no-pager vfio-profiled", ok=None).out
    exposure = float(re.search(r"exposure level for .*: ([\d.]+) ", text)[1])
    vm.note(f"exposure {exposure}")
    vm.check(exposure < 3.0, f"exposure {exposure}:\n{text}")

    vm.step("define a guest with gpu1, tag it, autostart, pages by sysctl")
    guest = vm.define("auto", cards=["gpu1"], vcpus=2, mib=256)
    vm.sh("vfio-profile set auto vga pinned && virsh autostart auto")
    vm.write("/etc/sysctl.d/hugepages.conf", "vm.nr_hugepages = 256\n")

    vm.step("reboot")
    vm.reboot()

    vm.step("the guest runs, tuned, and nobody has logged in")
    vm.wait("the guest runs", lambda: guest.state() == "running", 60)
    vm.equal(vm.sh("loginctl list-sessions --no-legend").out, "", "sessions")
    check_tuned(vm, guest)
    vm.check(since_boot(vm, "vfio-profiled.service", "ActiveEnter") < since_boot(vm, "libvirtd.service", "InactiveExit"),
             "libvirtd was started before vfio-profiled was ready")

    vm.step("the daemon is stopped: its socket starts it when a guest starts")
    guest.stop()
    vm.sh("systemctl stop vfio-profiled.service && test $(systemctl is-active vfio-profiled.socket) = active")
    guest.start()
    vm.sh("systemctl is-active vfio-profiled.service")
    check_tuned(vm, guest)
    guest.stop()

    vm.step("daemon and socket are stopped: one clear line, and no start")
    vm.sh("systemctl stop vfio-profiled.socket vfio-profiled.service")
    result = vm.sh("virsh start auto", ok=False, deadline=20)
    vm.check("vfio-profile: domain 'auto'" in result.err, str(result))
    vm.sh("systemctl start vfio-profiled.socket vfio-profiled.service && rm /etc/sysctl.d/hugepages.conf")
