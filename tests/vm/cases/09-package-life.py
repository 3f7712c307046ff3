# SPDX-License-Identifier: LGPL-2.1-or-later
"""The package: upgraded under a guest, not removed under one, then removed, installed again, purged."""
from harness.project import NAME
from harness.spec import Machine

MACHINE = Machine()

DEB = f"/root/{NAME}"
UPGRADE = "/root/upgrade.deb"
HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
WRAPPERS = "/var/lib/vfio-profile/emulators"
PROFILE = "/etc/vfio-profile/profiles.d/mine.conf"
UNITS = ("vfio-profiled.socket", "vfio-profiled.service")
# Where nothing of a package may be left. Logs, root's folder and guests' own definitions are not ours.
PLACES = "/etc /usr /var/lib /var/cache /run /lib/systemd"


def make_upgrade(vm):
    """The same package under a higher version."""
    vm.sh(f"dpkg-deb -R {DEB} /root/up && sed -i 's/^Version: .*/&+1/' /root/up/DEBIAN/control && "
          f"dpkg-deb -Znone -b /root/up {UPGRADE} && rm -r /root/up")


def pid(vm, unit):
    return vm.sh(f"systemctl show -P MainPID {unit}").out.strip()


def package(vm):
    return vm.sh("dpkg-query -W -f '${db:Status-Status} ${Version}' vfio-profile", ok=None).out


def check_services(vm, wanted):
    for unit in UNITS:
        vm.equal(vm.sh(f"systemctl is-active {unit}", ok=None).out.strip(), wanted, unit)
    vm.equal(vm.sh("systemctl --failed --no-legend --plain").out, "", "failed units")


def left_in(vm, places):
    """Files below these places whose name, link or text has ours in it."""
    found = vm.sh(f"find {places} -xdev ! -path '*/libvirt/qemu/*' "
                  "\\( -name '*vfio*profile*' -o -lname '*vfio*profile*' \\); "
                  "grep -rlsI vfio.profile /etc /lib/systemd /var/lib/dpkg /var/lib/systemd "
                  "--exclude-dir=qemu --exclude='*-old' --exclude='available'", ok=None, deadline=120).out.split()
    return sorted(set(found))


def has_lines(vm):
    """Files of AppArmor's that have our block."""
    return vm.sh("grep -rl 'BEGIN vfio-profile' /etc/apparmor.d", ok=None).out.split()


def run(vm):
    vm.step("one guest runs with gpu1 and x-vga on allocated pages, another one is off")
    retro = vm.define("retro", cards=["gpu1"], vcpus=2, mib=128)
    other = vm.define("other", vcpus=2, mib=64)
    untouched = {guest: guest.xml() for guest in (retro, other)}
    make_upgrade(vm)
    vm.write(PROFILE, "[profile]\ndescription = Mine\n[cpu]\npin = yes\n")
    vm.sh("vfio-profile set retro vga pinned && vfio-profile set other mine")
    retro.start()
    vm.equal(retro.hugepages(), {0: 64}, "the guest's pages, by node")

    vm.step("upgrade: the guest runs on, and the wrapper, the hook and the units stay")
    qemu, daemon = vm.sh("cat /run/libvirt/qemu/retro.pid").out, pid(vm, "vfio-profiled.service")
    libvirt, wrappers = pid(vm, "libvirtd.service"), vm.sh(f"stat -c '%n %i' {WRAPPERS}/*").out
    version = package(vm)
    vm.dpkg(f"--install {UPGRADE}")
    vm.equal(package(vm), version + "+1", "the package")
    vm.equal(vm.sh("cat /run/libvirt/qemu/retro.pid").out, qemu, "the guest's process")
    vm.sh(f"kill -0 {qemu}")
    vm.equal(pid(vm, "libvirtd.service"), libvirt, "libvirtd's process")
    vm.check(pid(vm, "vfio-profiled.service") != daemon, "the old daemon still runs")
    vm.equal(vm.sh(f"stat -c '%n %i' {WRAPPERS}/*").out, wrappers, "the wrappers")
    vm.sh(f"test -x {HOOK}")
    check_services(vm, "active")

    vm.step("not removed while the guest runs; all of it works on")
    result = vm.dpkg("--remove vfio-profile", ok=False)
    vm.check("'retro'" in result.err and "shut them down" in result.err and "'other'" not in result.err, str(result))
    vm.equal(package(vm), version + "+1", "the package")
    vm.sh(f"test -x {HOOK} && kill -0 {qemu}")
    check_services(vm, "active")

    vm.step("the guest stops: the third daemon gives back what the first one took")
    retro.stop()
    vm.equal(vm.driver("gpu1"), "bochs-drm", "the card's driver")
    vm.wait("no pages are left", lambda: vm.free_pages() == {0: 0, 1: 0}, 10)

    vm.step("remove: every definition is as it was, and nobody names a wrapper or asks the gate")
    vm.sh(f"vfio-profile sequester {vm.machine.spec.address('gpu2')}")
    vm.check(WRAPPERS in retro.xml() and has_lines(vm), "there is nothing to put back")
    vm.dpkg("--remove vfio-profile")
    vm.sh("grep -r /var/lib/vfio-profile /etc/libvirt", ok=False)
    vm.sh(f"test ! -e {HOOK} && test ! -e /etc/vfio-profile/sequester && ! grep -r vfio-profile /etc/modprobe.d")
    vm.equal(has_lines(vm), [], "files with lines for AppArmor")
    check_services(vm, "inactive")
    tagged = {guest: guest.xml() for guest in untouched}
    for guest, text in untouched.items():
        vm.sh(f"virsh metadata {guest.name} urn:vfio-profile:1 --remove --config")
        # Of the tag's own, libvirt leaves the element around it.
        vm.equal(guest.xml().replace("  <metadata/>\n", ""), text, f"the definition of '{guest.name}'")

    vm.step("define and start work without us")
    for text in tagged.values():
        vm.define_xml(text)
    retro.start()
    retro.stop()

    vm.step("installed again: the tags count, and so does what the administrator wrote")
    vm.sh(f"grep -q Mine {PROFILE}")
    vm.dpkg(f"--install {DEB}")
    vm.wait("the definitions are prepared", lambda: WRAPPERS in retro.xml() and "vcpupin" in other.xml())

    vm.step("purge: nothing is left")
    vm.dpkg("--purge vfio-profile")
    check_services(vm, "inactive")
    vm.equal(left_in(vm, PLACES), [], "left behind")
    vm.equal(vm.sh("systemctl list-unit-files --no-legend 'vfio*'", ok=None).out, "", "units")
    vm.sh("getent passwd vfio-profile || getent group vfio-profile", ok=False)

    vm.step("installed, for the cases to come")
    vm.dpkg(f"--install {DEB}")
