# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host CPU goes away between define and start, and comes back."""
import re

from harness.spec import Machine

MACHINE = Machine()


def pins(guest):
    return [cpus for thread, cpus in sorted(guest.cpus().items()) if thread.startswith("CPU ")]


def set_online(vm, cpu, value):
    vm.sh(f"echo {value} > /sys/devices/system/cpu/cpu{cpu}/online")


def is_ready(vm):
    return "ready" in vm.sh("vfio-profile status guest", ok=None).out


def run(vm):
    vm.step("define a guest, set 'pinned', look where it is to run")
    guest = vm.define("guest", vcpus=2, mib=256)
    vm.reserve(node=0, pages=128)
    vm.reserve(node=1, pages=128)
    vm.sh("vfio-profile set guest pinned")
    first = vm.sh("vfio-profile status --json guest").out
    vm.note(first.replace("\n", " "))
    lost = re.findall(r"<vcpupin vcpu='\d+' cpuset='(\d+)'/>", guest.xml())[-1]

    vm.step(f"CPU {lost} goes offline, and virsh start at once")
    set_online(vm, lost, 0)
    result = vm.sh("virsh start guest", ok=None)
    if result.exit != 0:
        vm.check("vfio-profile: domain 'guest'" in result.err, f"not our refusal: {result}")
        vm.note(f"refused first: {result.err.strip()}")
        vm.wait("the definition is prepared for the CPUs that are left", lambda: is_ready(vm))
        guest.start()
    now = pins(guest)
    vm.check(lost not in now and len(set(now)) == 2, f"the vCPUs are on CPUs {now}")
    guest.stop()

    vm.step(f"CPU {lost} comes back: what is good stays, and is ready")
    set_online(vm, lost, 1)
    vm.wait("the CPU is online", lambda: vm.sh(f"cat /sys/devices/system/cpu/cpu{lost}/online").out.strip() == "1")
    vm.wait("the definition is ready", lambda: is_ready(vm))
    guest.start()
    vm.equal(pins(guest), now, "the vCPUs' CPUs")
    guest.stop()
