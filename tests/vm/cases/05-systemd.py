# SPDX-License-Identifier: LGPL-2.1-or-later
"""systemd: units enabled, autostart tuned after a reboot, socket activation, slices off a guest's CPUs."""
import re

from harness.spec import Machine

MACHINE = Machine()


def check_tuned(vm, guest):
    cpus = guest.cpus()
    vm.equal([cpus["CPU 0"], cpus["CPU 1"]], ["2", "3"], "the vCPUs' CPUs")
    vm.equal(guest.hugepages(), {0: 128}, "the guest's pages, by node")
    vm.equal([device.get("x-vga") for device in guest.pci_devices()], [True], "x-vga")


# A process of each unit that cpu.isolate moves.
PROCESSES = {"init.scope": "1", "system.slice": "$(systemctl show -P MainPID libvirtd)",
             "user.slice": "$(systemctl show -P MainPID work)"}


def cpus_of_units(vm):
    """{unit: where a process of it may run}"""
    out = vm.sh("for pid in " + " ".join(PROCESSES.values()) + "; do grep Cpus_allowed_list /proc/$pid/status; done").out
    return dict(zip(PROCESSES, re.findall(r"\t(.*)", out)))


def settings_of_units(vm):
    """{unit: its AllowedCPUs, or '' where it has all}"""
    out = vm.sh("for unit in " + " ".join(PROCESSES) + "; do systemctl show -p AllowedCPUs $unit; done").out
    return dict(zip(PROCESSES, re.findall(r"=(.*)", out)))


def check_isolated(vm):
    wanted = {unit: "0-1,4-7" for unit in PROCESSES}
    vm.equal(cpus_of_units(vm), wanted, "the CPUs of the units' processes")
    for unit in PROCESSES:
        vm.equal(vm.sh(f"cat /sys/fs/cgroup/{unit}/cpuset.cpus.effective").out.strip(), wanted[unit], f"the CPUs of {unit}")


def check_given_back(vm):
    all_cpus = {unit: "0-7" for unit in PROCESSES}
    vm.wait("the units' processes have all CPUs", lambda: cpus_of_units(vm) == all_cpus)
    vm.equal(settings_of_units(vm), {unit: "" for unit in PROCESSES}, "AllowedCPUs of the units")
    vm.equal(vm.sh("ls /run/vfio-profile/holds").out, "", "the journal of what guests hold")


def isolate(vm, guest):
    vm.step("cpu.isolate: system, users and init are off the guest's CPUs while it runs")
    check_isolated(vm)

    vm.step("the daemon is killed meanwhile: it comes back, and so do they when the guest ends")
    vm.sh("systemctl kill -s KILL vfio-profiled.service")
    vm.wait("the daemon is back", lambda: vm.sh("systemctl is-active vfio-profiled", ok=None).exit == 0)
    check_isolated(vm)
    guest.stop()
    check_given_back(vm)

    vm.step("it is killed, and the guest ends before it is back")
    guest.start()
    vm.sh("systemctl kill -s KILL vfio-profiled.service; systemctl stop vfio-profiled.socket vfio-profiled.service")
    guest.stop()
    check_isolated(vm)
    vm.sh("systemctl start vfio-profiled.socket vfio-profiled.service")
    check_given_back(vm)
    vm.sh("systemctl stop work")


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
    vm.sh("systemd-run --quiet --slice=user.slice --unit=work sleep infinity")
    vm.write_profile("alone", "[cpu]\\nisolate=yes\\n")
    vm.sh("vfio-profile set auto vga pinned alone")
    vm.sh("systemctl stop vfio-profiled.service && test $(systemctl is-active vfio-profiled.socket) = active")
    guest.start()
    vm.sh("systemctl is-active vfio-profiled.service")
    check_tuned(vm, guest)

    isolate(vm, guest)

    vm.step("daemon and socket are stopped: one clear line, and no start")
    vm.sh("systemctl stop vfio-profiled.socket vfio-profiled.service")
    result = vm.sh("virsh start auto", ok=False, deadline=20)
    vm.check("vfio-profile: domain 'auto'" in result.err, str(result))
    vm.sh("systemctl start vfio-profiled.socket vfio-profiled.service && rm /etc/sysctl.d/hugepages.conf")
