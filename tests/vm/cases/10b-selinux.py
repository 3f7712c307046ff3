# SPDX-License-Identifier: LGPL-2.1-or-later
"""SELinux enforces: libvirt, guest, hook and daemon are confined, and all works as without it."""
import re

from harness import doctor, selinux
from harness.cases import load

MACHINE = selinux.ENFORCING

UNITS = "vfio-profiled.socket vfio-profiled.service"
HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
WRAPPERS = "/var/lib/vfio-profile/emulators"
LABELS = {
    "/usr/sbin/vfio-profiled": "vfioprofile_exec_t",
    "/lib/systemd/system/vfio-profiled.service": "vfioprofile_unit_t",
    "/lib/systemd/system/vfio-profiled.socket": "vfioprofile_unit_t",
    HOOK: "vfioprofile_hook_exec_t",
    "/etc/vfio-profile": "vfioprofile_conf_t",
    "/var/lib/vfio-profile": "vfioprofile_var_lib_t",
    WRAPPERS: "vfioprofile_wrapper_exec_t",
    "/run/vfio-profile": "vfioprofile_runtime_t",
    "/run/vfio-profile/gate.sock": "vfioprofile_runtime_t",
}
# The whole of them, in this machine.
OTHERS = ("01-howto-2015", "03-two-guests")


def check_confined(vm):
    daemon = vm.sh("systemctl show -P MainPID vfio-profiled").out.strip()
    vm.equal(selinux.domain(vm, daemon)[0], "vfioprofile_t", "the daemon's domain")
    vm.equal(selinux.domain(vm, "$(cat /run/libvirtd.pid)")[0], "virtd_t", "libvirt's domain")


def check_guest(vm, guest):
    """As it is to be, in a domain of its own."""
    domain, level = selinux.domain(vm, f"$(cat /run/libvirt/qemu/{guest.name}.pid)")
    vm.equal(domain, "svirt_t", "the guest's domain")
    vm.check(re.fullmatch(r"s0:c\d+,c\d+", level), f"the guest's level is {level}")
    vm.equal([device.get("x-vga") for device in guest.pci_devices()], [True], "x-vga")
    vm.equal(guest.hugepages(), {0: 128}, "the guest's pages, by node")
    cpus = guest.cpus()
    vm.equal([cpus["CPU 0"], cpus["CPU 1"]], ["2", "3"], "the vCPUs' CPUs")


def run(vm):
    vm.step("the package has loaded its module and put the labels right")
    vm.confine_guests()
    vm.equal(vm.sh("getenforce").out.strip(), "Enforcing", "SELinux")
    # Into a pipe of the shell's: semodule may not write into the agent's.
    vm.sh("semodule --list-modules=full | grep '^200 *vfioprofile '")
    vm.equal({path: selinux.type_of(vm, path) for path in LABELS}, LABELS, "the types")
    check_confined(vm)
    doctor.expect(vm, "selinux.module", "OK", "enforcing, our module is loaded")
    doctor.expect(vm, "security.denials", "OK")

    vm.step("what Debian's policy lacks; from here on all denials are shown")
    doctor.expect(vm, "selinux.booleans", "FAIL", *(f"{name} is off" for name in selinux.BOOLEANS))
    selinux.fill_gaps(vm)
    selinux.turn_on(vm)
    doctor.expect(vm, "selinux.booleans", "OK")

    vm.step("a guest with gpu1, x-vga, pages, CPUs of its own and IRQs elsewhere")
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=256)
    untouched = guest.xml()
    vm.reserve(node=0, pages=128)
    vm.write_profile("alone", "[cpu]\\nisolate=yes\\nirqs=move\\n")
    vm.sh("vfio-profile set retro vga gaming alone")
    guest.start()
    guest.wait_up()
    check_guest(vm, guest)
    wrapper = vm.sh(f"ls {WRAPPERS}/*").out.strip()
    vm.equal(selinux.type_of(vm, wrapper), "vfioprofile_wrapper_exec_t", "the wrapper's type")
    held = vm.sh("vfio-profile status retro").out
    vm.check("system.slice without 2-3 is 'in force'" in held and "/proc/irq/" in held, held)

    vm.step("the daemon starts anew under it, and gives back when it stops")
    vm.sh("systemctl restart vfio-profiled")
    guest.stop()
    vm.equal(vm.driver("gpu1"), "bochs-drm", "the card's driver")
    vm.equal(vm.free_pages()[0], 128, "free pages")
    vm.check("holds" not in vm.sh("vfio-profile status retro").out, "something is held")

    vm.step("the hook speaks to the gate: a card that a process draws on is refused")
    address = vm.machine.spec.address("gpu2")
    vm.define("drawn", cards=["gpu2"], vcpus=2, mib=128)
    vm.sh("vfio-profile set drawn vga")
    pid = vm.sh(f"setsid sleep 600 < /dev/dri/by-path/pci-{address}-card > /dev/null 2>&1 & echo $!").out.strip()
    result = vm.sh("virsh start drawn", ok=False)
    vm.check(f"the host is using {address}" in result.err and f"sleep ({pid})" in result.err, str(result))
    vm.sh(f"kill {pid}")

    vm.step("undo and unset: the definition is as it was")
    vm.sh(f"systemctl stop {UNITS} && vfio-profile undo --all && systemctl start {UNITS}")
    vm.wait("the daemon has prepared it again", lambda: "ready" in vm.sh("vfio-profile status retro", ok=None).out)
    vm.sh("vfio-profile unset retro")
    vm.equal(guest.xml(), untouched, "the definition")

    for case in load(OTHERS):
        vm.note(f"the case {case.name}")
        vm.clean()
        case.run(vm)

    vm.step("of all that, nothing of ours was denied")
    selinux.check_no_denials(vm)

    vm.step("a wrapper with another label of ours is put right; of one with a stranger's the doctor speaks")
    vm.sh(f"chcon -t vfioprofile_var_lib_t {wrapper} && systemctl restart vfio-profiled")
    vm.wait("its label is right", lambda: selinux.type_of(vm, wrapper) == "vfioprofile_wrapper_exec_t", 10)
    vm.sh(f"chcon -t var_lib_t {wrapper}")
    results, text = doctor.ask(vm, "selinux.labels")
    vm.check("FAIL" in results and f"{wrapper} is var_lib_t" in text, text)
    vm.sh(f"restorecon -R {WRAPPERS}")

    vm.step("reboot, with a guest that is started then")
    vm.clean()
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=256)
    vm.sh("vfio-profile set retro vga pinned && virsh autostart retro")
    vm.write("/etc/sysctl.d/hugepages.conf", "vm.nr_hugepages = 256\n")
    vm.reboot()
    vm.equal(vm.sh("getenforce").out.strip(), "Enforcing", "SELinux")
    vm.wait("the guest runs", lambda: guest.state() == "running", 60)
    check_confined(vm)
    check_guest(vm, guest)
    guest.stop()
    vm.sh("rm /etc/sysctl.d/hugepages.conf")
    doctor.expect(vm, "selinux.labels", "OK")
    selinux.check_no_denials(vm)
