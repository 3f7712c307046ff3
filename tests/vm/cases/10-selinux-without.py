# SPDX-License-Identifier: LGPL-2.1-or-later
"""SELinux enforces, and our module is not loaded: nothing starts; and the way of 2015, by hand."""
from harness import doctor, selinux

MACHINE = selinux.ENFORCING

UNITS = "vfio-profiled.socket vfio-profiled.service"
HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
WRAPPERS = "/var/lib/vfio-profile/emulators"
LABELLED = ("/usr/sbin/vfio-profiled", "/lib/systemd/system/vfio-profiled.service",
            "/lib/systemd/system/vfio-profiled.socket", HOOK, "/etc/vfio-profile", "/var/lib/vfio-profile")


def check_refused(vm, result):
    """libvirt may not so much as look at a wrapper, which has the label of its neighbours."""
    vm.check("Permission denied" in result.err and WRAPPERS in result.err, str(result))
    found = vm.wait("the journal has the denial", lambda: [
        denial for denial in selinux.denials(vm)
        if (denial.source, denial.target, denial.kind) == ("virtd_t", "var_lib_t", "file") and WRAPPERS in denial.line], 10)
    vm.note(found[-1].line)


def unload_module(vm):
    """As the manual page says it."""
    vm.sh(f"systemctl stop {UNITS} && semodule -X 200 -r vfioprofile && rm -r /run/vfio-profile", deadline=240)
    vm.sh(f"restorecon -R -F {' '.join(LABELLED)}")
    # systemd keeps the labels of units that it has read.
    vm.sh(f"systemctl daemon-reload && systemctl start {UNITS}")


def run(vm):
    vm.step("a tagged guest, in a policy that has what else it needs")
    vm.confine_guests()
    selinux.fill_gaps(vm)
    selinux.turn_on(vm)
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=256)
    vm.sh("vfio-profile set retro vga")
    wrapper = vm.sh(f"ls {WRAPPERS}/*").out.strip()

    vm.step("without the module: no start")
    unload_module(vm)
    vm.equal(selinux.type_of(vm, wrapper), "var_lib_t", "the wrapper's type")
    check_refused(vm, vm.sh("virsh start retro", ok=False))
    doctor.expect(vm, "selinux.module", "FAIL", "the module vfioprofile is not loaded")
    doctor.expect(vm, "security.denials", "WARN", WRAPPERS)

    vm.step("without it: libvirt takes no definition either")
    vm.sh("vfio-profile unset retro")
    check_refused(vm, vm.sh("vfio-profile set retro vga", ok=False))

    vm.step("without it, by hand: QEMU's label for the wrappers; the hook, which libvirt may not run, off")
    # What semanage-fcontext(8) writes; its package brings a Python that the machine lacks.
    vm.write("/etc/selinux/default/contexts/files/file_contexts.local",
             f"{WRAPPERS}(/.*)?    system_u:object_r:qemu_exec_t:s0\n")
    vm.sh(f"restorecon -R {WRAPPERS} && vfio-profile set retro vga")
    vm.equal(selinux.type_of(vm, wrapper), "qemu_exec_t", "the wrapper's type")
    vm.define("plain", vcpus=1, mib=64)
    for name in ("retro", "plain"):
        result = vm.sh(f"virsh start {name}", ok=False)
        vm.check(f"cannot execute binary {HOOK}: Permission denied" in result.err, str(result))
    vm.sh(f"chmod a-x {HOOK}")
    guest.start()
    vm.equal([device.get("x-vga") for device in guest.pci_devices()], [True], "x-vga")
    vm.equal(selinux.domain(vm, "$(cat /run/libvirt/qemu/retro.pid)")[0], "svirt_t", "the guest's domain")
    said = vm.sh("journalctl -b -o cat -u vfio-profiled -p err").out
    vm.check("'retro'" in said, f"the daemon does not say that the hook was left out: {said}")
    guest.stop()
