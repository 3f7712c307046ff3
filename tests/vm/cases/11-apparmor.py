# SPDX-License-Identifier: LGPL-2.1-or-later
"""AppArmor enforces: libvirt, guest, hook and daemon are confined, and without our lines nothing starts."""
from harness import doctor
from harness.spec import Machine

# Debian's own choice; nothing on the kernel's line asks for it.
MACHINE = Machine()

FOREVER = "2000-01-01"
WRAPPERS = "/var/lib/vfio-profile/emulators"
LINES = "/usr/libexec/vfio-profile-apparmor"


def confinement(vm, pid):
    return vm.sh(f"cat /proc/{pid}/attr/current").out.rstrip("\n\0")


def pid_of(vm, unit):
    return vm.sh(f"systemctl show -P MainPID {unit}").out.strip()


def denials(vm, since):
    """Lines of the journal about us and about guests, each once: the kernel's log has them again."""
    out = vm.sh(f"journalctl -o cat --since '{since}' _TRANSPORT=audit", deadline=120).out
    return [line for line in out.splitlines() if 'apparmor="DENIED"' in line
            and any(word in line for word in ("vfio-profile", "vfio_profile", 'profile="libvirt-'))]


def now(vm):
    return vm.sh("date '+%F %T'").out.strip()


def check_refused(vm, result, profile, since, late=""):
    """A wrapper was not run, and the journal says who was not allowed to."""
    refused = WRAPPERS in result.err and "Permission denied" in result.err
    vm.check(refused or (late and late in result.err), str(result))
    begin = f'apparmor="DENIED" operation="exec" profile="{profile}" name="{WRAPPERS}/'
    vm.wait("the journal has the denial", lambda: any(begin in line for line in denials(vm, since)), 10)


def run(vm):
    vm.step("daemon and libvirt are confined, and the doctor says so")
    vm.check("apparmor" in vm.sh("cat /sys/kernel/security/lsm").out.split(","), "the kernel has no AppArmor")
    vm.equal(confinement(vm, pid_of(vm, "vfio-profiled")), "vfio-profiled (enforce)", "the daemon's profile")
    vm.equal(confinement(vm, pid_of(vm, "libvirtd")), "libvirtd (enforce)", "libvirt's profile")
    vm.check("libvirtd//vfio_profile_hook (enforce)" in vm.sh("cat /sys/kernel/security/apparmor/profiles").out,
             "the hook's profile is not loaded")
    doctor.expect(vm, "apparmor.lines", "OK", "on, with our lines for libvirt and its guests")

    vm.step("the guest is confined by a profile of its own")
    vm.confine_guests()
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=256)
    vm.reserve(node=0, pages=128)
    vm.write_profile("alone", "[cpu]\\nisolate=yes\\nirqs=move\\n")
    vm.sh("vfio-profile set retro vga gaming alone")
    guest.start()
    uuid = vm.sh("virsh domuuid retro").out.strip()
    vm.equal(confinement(vm, "$(cat /run/libvirt/qemu/retro.pid)"), f"libvirt-{uuid} (enforce)", "the guest's profile")
    guest.wait_up()
    guest.stop()
    vm.sh("vfio-profile unset retro && virsh undefine retro")

    vm.step("nothing was denied, nor in the cases before on this machine")
    vm.equal(denials(vm, FOREVER), [], "denials")
    doctor.expect(vm, "security.denials", "OK")

    vm.step("control, without our lines in the guests' profiles: no start")
    guest = vm.define("retro", cards=["gpu1"], vcpus=2, mib=256)
    vm.sh("vfio-profile set retro vga")
    begin = now(vm)
    vm.sh(f"{LINES} remove")
    uuid = vm.sh("virsh domuuid retro").out.strip()
    # Where libvirt looks too late for the wrapper's own end, it says that nobody is at the monitor's socket.
    check_refused(vm, vm.sh("virsh start retro", ok=False), f"libvirt-{uuid}", begin, late="to monitor socket")
    doctor.expect(vm, "apparmor.lines", "FAIL", "do not let it run the wrappers")
    doctor.expect(vm, "security.denials", "WARN", WRAPPERS)

    vm.step("control, without them: libvirt takes no wrapper, and 'set' changes nothing")
    vm.sh("vfio-profile unset retro")
    untouched = guest.xml()
    # It knows what the wrapper can do, and would not ask again.
    vm.sh("rm -rf /var/cache/libvirt/qemu/capabilities/* && systemctl restart libvirtd")
    begin = now(vm)
    check_refused(vm, vm.sh("vfio-profile set retro vga", ok=False), "libvirtd", begin)
    # libvirt leaves an empty element where it took the tag out.
    vm.equal(guest.xml().replace("  <metadata/>\n", ""), untouched, "the definition")
    vm.sh(f"{LINES} add")
    vm.sh("vfio-profile set retro vga")
    guest.start()
    guest.stop()
    vm.equal(confinement(vm, pid_of(vm, "libvirtd")), "libvirtd (enforce)", "libvirt's profile")
