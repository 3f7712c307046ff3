#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vfio-profile doctor: a machine that is set up, with one thing wrong.

Usage: test-doctor.py VFIO-PROFILE DATA-FOLDER HOOK PROGRAM STATE-FOLDER RUN-FOLDER

DATA-FOLDER is tests/data of the source tree; the others are paths of this build. Prints TAP.
"""

import os
import sys
import time

sys.dont_write_bytecode = True  # the source tree stays as it is
from doctor_machine import (BOOT, EMULATOR, HOOK, HOUR, MIB, MOUNTS, POOL, RUN, STATE, UUID, WRAPPERS, Machine,
                            expect)
from tap import Skip, main

NODE = "sys/devices/system/node/node0"
DISTRIBUTIONS = {
    "debian": "ID=debian\n", "ubuntu": "ID=ubuntu\nID_LIKE=debian\n", "fedora": "ID=fedora\n",
    "rocky": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "arch": "ID=arch\n", "manjaro": "ID=manjaro\nID_LIKE=arch\n",
}


# --- one thing wrong ----------------------------------------------------------------


def case(check, result, *words, good=None):
    """Decorator: a function that spoils a machine, and what the doctor says of it then. `good`: what before."""

    def add(spoil):
        def check_it():
            machine = Machine()
            if good:
                expect(machine, check, "OK", good)
            domain = spoil(machine)
            expect(machine, check, result, *words, domain=domain)

        check_it.__name__ = "test_" + spoil.__name__
        check_it.__doc__ = f"{check}: {result} where {spoil.__doc__}"
        globals()[check_it.__name__] = check_it
        return spoil

    return add


def drop_groups(machine):
    machine.remove("sys/kernel/iommu_groups")
    machine.remove("sys/class/iommu")
    for number in os.listdir(machine.path("sys/bus/pci/devices")):
        machine.remove(f"sys/bus/pci/devices/{number}/iommu_group")


@case("iommu.use", "FAIL", "the firmware shows none", "turn VT-d on", good="1 unit, 13 groups")
def no_vtd(machine):
    """the firmware has VT-d off"""
    drop_groups(machine)
    machine.remove("sys/firmware")


@case("iommu.use", "FAIL", "firmware has it on", "intel_iommu=on", "update-grub")
def no_parameter(machine):
    """the kernel was not told to use it"""
    drop_groups(machine)


@case("iommu.use", "FAIL", "take amd_iommu=off out of")
def amd_off(machine):
    """the kernel was told not to use it"""
    drop_groups(machine)
    machine.write("proc/cpuinfo", "vendor_id : AuthenticAMD\n")
    machine.write("proc/cmdline", "quiet amd_iommu=off\n")


@case("iommu.passthrough", "WARN", "strictly", "add iommu=pt", good="lazy flushing")
def strict(machine):
    """mappings of the host are strict"""
    machine.write("sys/kernel/iommu_groups/3/type", "DMA\n")


@case("iommu.superpages", "WARN", "dmar0: 4K alone", good="dmar0: 2M and 1G")
def small_pages(machine):
    """the unit maps 4K alone"""
    machine.write("sys/class/iommu/dmar0/intel-iommu/cap", "c9008020660262\n")


@case("iommu.interrupts", "FAIL", "VFIO refuses", "allow_unsafe_interrupts=1", "/etc/modprobe.d", good="in use")
def no_remapping(machine):
    """interrupts are not remapped"""
    machine.write("proc/interrupts", " 16:  0  IO-APIC  16-fasteoi  ehci_hcd\n")


@case("iommu.interrupts", "WARN", "allow_unsafe_interrupts=1", "any interrupt")
def unsafe(machine):
    """interrupts are not remapped, and that is allowed"""
    machine.write("proc/interrupts", " 16:  0  IO-APIC  16-fasteoi  ehci_hcd\n")
    machine.write("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n")


def move_to_group(machine, address, group):
    link = machine.path(f"sys/bus/pci/devices/{address}/iommu_group")
    os.unlink(link)
    os.symlink(f"../../../kernel/iommu_groups/{group}", link)


@case("devices.cards", "WARN", "0000:02:00.0", "shares group 12 with 0000:00:19.0", "e1000e", "another slot",
      good="0000:02:00.0")
def shared_group(machine):
    """a card shares its group with the network card"""
    move_to_group(machine, "0000:00:19.0", 12)


@case("devices.cards", "FAIL", "0000:01:00.0", "parts of the board", "another slot")
def wanted_card(machine):
    """a card that a guest has is among parts of the board"""
    move_to_group(machine, "0000:00:1f.0", 1)
    machine.guest(prepared=False)


@case("devices.acs", "WARN", "pcie_acs_override", "not true", "take pcie_acs_override out of",
      good="0000:00:1c.0 above it isolates it")
def acs_patch(machine):
    """the override patch is in use"""
    machine.write("proc/cmdline", "pcie_acs_override=downstream\n")


@case("devices.acs", "WARN", "0000:01:00.0: the port 0000:00:01.0 above it does not isolate (ACS, but not on)")
def acs_off(machine):
    """a port has ACS that is off, and something else is below it"""
    move_to_group(machine, "0000:00:19.0", 1)
    config = bytearray(4096)
    config[0x0e] = 1  # the header of a bridge
    config[0x100:0x104] = (0x14010001).to_bytes(4, "little")  # AER, the next at 0x140
    config[0x140:0x144] = (0x0001000d).to_bytes(4, "little")
    with open(machine.path("sys/bus/pci/devices/0000:00:01.0/config"), "wb") as file:
        file.write(config)


@case("devices.boot-display", "WARN", "0000:00:02.0", "assigned to 'win10'", "console",
      good="driver i915, console 0 i915drmfb")
def boot_display(machine):
    """a guest has the boot display"""
    machine.guest(cards=("0000:00:02.0",), prepared=False)


@case("devices.boot-display", "WARN", "shows its console (VGA+)", "not say on which", "over the network",
      good="driver i915")
def unmarked_display(machine):
    """a kernel that marks no card, and a console on one of them"""
    machine.attribute("0000:00:02.0", "boot_vga", "0\n")
    machine.write("sys/class/vtconsole/vtcon0/name", "(S) VGA+\n")
    machine.write("sys/class/vtconsole/vtcon0/bind", "1\n")


@case("devices.boot-display", "OK", "nothing shows a console: the host needs none of its cards")
def headless(machine):
    """no card is marked, and the console is none"""
    machine.attribute("0000:00:02.0", "boot_vga", "0\n")
    machine.write("sys/class/vtconsole/vtcon0/name", "(S) dummy device\n")
    machine.write("sys/class/vtconsole/vtcon0/bind", "1\n")


@case("devices.boot-display", "WARN", "0000:01:00.0", "assigned to 'win10'", good="0000:00:02.0")
def boot_display_of_drm(machine):
    """a kernel that marks the card's DRM device"""
    machine.attribute("0000:00:02.0", "boot_vga", "0\n")
    machine.attribute("0000:01:00.0", "drm/card1/boot_display", "1\n")
    machine.guest(prepared=False)


@case("devices.i915", "WARN", "'win10'", "both pictures", "OVMF", good="no guest asks for it")
def arbitration(machine):
    """a BIOS guest has x-vga beside i915"""
    machine.guest(profile="vga", prepared=False)


@case("drivers.vfio", "FAIL", "6.1.0-9-amd64 has no module vfio-pci", good="vfio-pci is loaded")
def no_module(machine):
    """the kernel has no vfio-pci"""
    machine.remove("sys/bus/pci/drivers/vfio-pci")
    machine.write("lib/modules/6.1.0-9-amd64/modules.dep", "")


@case("drivers.vga", "FAIL", "'win10'", "CONFIG_VFIO_PCI_VGA", good="there")
def no_vga(machine):
    """vfio-pci is without VGA and a guest has x-vga"""
    machine.write("boot/config-6.1.0-9-amd64", "CONFIG_PCI=y\n")
    machine.guest(profile="vga", prepared=False)


@case("drivers.bindings", "WARN", "0000:01:00.0: nouveau and 0000:01:00.1: snd_hda_intel",
      "run 'vfio-profile sequester 0000:01:00.0 --initramfs' and boot", good="ready for a guest")
def host_driver(machine):
    """nouveau has the card"""
    machine.bind("0000:01:00.0", "nouveau")
    machine.bind("0000:01:00.1", "snd_hda_intel")
    machine.guest()


@case("drivers.twins", "WARN", "0000:01:00.0 and 0000:02:00.0 have the same ids 10de:1381", "address",
      good="no two displays")
def twins(machine):
    """two cards are of one model"""
    machine.attribute("0000:02:00.0", "vendor", "0x10de\n")
    machine.attribute("0000:02:00.0", "device", "0x1381\n")


@case("drivers.bindings", "WARN", "0000:01:00.0: nouveau", "'vfio-profile sequester 0000:01:00.0 --initramfs'")
def twin_driver(machine):
    """nouveau has one of two cards of one model"""
    twins(machine)
    machine.bind("0000:01:00.0", "nouveau")
    machine.guest()


@case("memory.hugepages", "WARN", "no hugepages", good="2M: 2048 pages, 2048 free")
def no_hugepages(machine):
    """the kernel has none"""
    machine.remove("sys/kernel/mm/hugepages")


@case("memory.pools", "WARN", "'win10' needs 2048 pages of 2M and 0 are free", "vm.nr_hugepages = 2048",
      "/etc/sysctl.d")
def no_pages(machine):
    """there is no room for the pages"""
    machine.write(f"{POOL}/nr_hugepages", "0\n")
    machine.write(f"{POOL}/free_hugepages", "0\n")
    machine.write("proc/meminfo", f"MemTotal: {16384 * MIB} kB\nMemAvailable: {1024 * MIB} kB\nHugepagesize: 2048 kB\n")
    machine.guest()


@case("memory.mounts", "FAIL", "2M: no hugetlbfs", "'win10' needs it", "/etc/fstab", good="2M: /dev/hugepages")
def no_mount(machine):
    """nothing is mounted for a guest's pages"""
    machine.guest()
    machine.write("proc/self/mountinfo", MOUNTS.splitlines()[0] + "\n")


@case("memory.mounts", "WARN", "after libvirt's start", "restart libvirtd")
def late_mount(machine):
    """libvirt does not know the mount"""
    machine.remove("dev/hugepages/libvirt")


@case("memory.locked", "FAIL", "'win10' locks 32.0 GiB", "16.0 GiB", good="0 guests lock")
def too_large(machine):
    """one guest is larger than the host"""
    machine.guest(mib=32768)


@case("memory.locked", "WARN", "2 guests lock 20.0 GiB together", "16.0 GiB")
def too_many(machine):
    """two guests together are larger than the host"""
    machine.guest(mib=10240)
    machine.guest("other", mib=10240)


@case("cpu.isolated", "WARN", "2-3", "6-7", "isolcpus=2-3,6-7", good="none")
def half_isolated(machine):
    """one thread of each core is isolated"""
    machine.write("sys/devices/system/cpu/isolated", "2-3\n")


@case("guests.profiles", "FAIL", "'win10'", "bogus", good="0 of 0 guests tagged")
def bad_profile(machine):
    """a profile is not known"""
    machine.guest(profile="bogus", prepared=False)


@case("guests.limits", "FAIL", "vfio-profile.conf", "memory.deadline", "built-in limits hold", "man vfio-profile.conf",
      good="cpu.reserve-cores: at least 1, cpu.isolate: no, cpu.irqs: keep, memory.deadline: at most 60")
def damaged_limits(machine):
    """the file of limits is damaged"""
    machine.write("etc/vfio-profile/vfio-profile.conf", "[overrides]\nmemory.deadline=at most forever\n")


@case("guests.fit", "WARN", "'other' and 'win10' share the CPUs")
def too_many_cpus(machine):
    """two guests need more cores than there are"""
    machine.guest(vcpus=6)
    machine.guest("other", vcpus=6)


@case("libvirt.version", "FAIL", "no libvirt", "apt install libvirt-daemon-system", good="in one piece (libvirtd)")
def no_libvirt(machine):
    """there is none"""
    machine.remove("usr/sbin/libvirtd")
    machine.remove("proc/700")


@case("libvirt.version", "OK", "modular (virtqemud)")
def modular(machine):
    """it is modular"""
    machine.remove("proc/700")
    machine.process(702, "virtqemud", time.time() + HOUR)


@case("hook.installed", "FAIL", "not executable", "chmod 755", good=HOOK)
def hook_mode(machine):
    """the hook is not executable"""
    os.chmod(machine.path(HOOK), 0o644)


@case("hook.registered", "WARN", "before the hook came", "systemctl reload libvirtd", good="after the hook came")
def unregistered(machine):
    """the hook came after libvirt's start"""
    machine.process(700, "libvirtd", BOOT + 60)


def make_hold(machine):
    machine.write(f"{RUN}/holds/{UUID}", "[guest]\nversion=1\nname=win10\nstate=running\ndevices=0000:01:00.0;\n")


@case("hook.called", "WARN", "'win10' runs", "not called", "label")
def uncalled(machine):
    """a running guest is not in the daemon's journal"""
    machine.guest(running=True)


@case("hook.called", "FAIL", "'win10' was started past the hook", "not executable", "stop and start the guest")
def silent(machine):
    """the daemon noted that a guest was started past the hook"""
    machine.guest(running=True)
    machine.write(f"{RUN}/holds/{UUID}", "[guest]\nversion=1\nname=win10\nstate=running\nrun=3\n"
                                         "silent=it is not executable\ndevices=\n")


@case("hook.called", "OK", "1 of 1 tagged guest")
def called(machine):
    """a running guest is"""
    machine.guest(running=True)
    make_hold(machine)


@case("daemon.runs", "FAIL", "does not run", "systemctl enable --now vfio-profiled", good="process 701")
def no_daemon(machine):
    """a guest is tagged and the daemon has ended"""
    machine.write("proc/701/stat", "701 (vfio-profiled) Z " + "0 " * 18 + "1 0 0\n")
    machine.remove(f"{RUN}/gate.sock")
    machine.guest()


@case("daemon.enabled", "WARN", "not started at boot", "systemctl enable vfio-profiled", good="at boot")
def not_enabled(machine):
    """the unit is not enabled"""
    machine.remove("etc/systemd/system/multi-user.target.wants")


def make_wrapper(machine, emulator="/usr/bin/qemu-system-x86_64", fresh=True):
    info = os.stat(machine.path("usr/bin/qemu-system-x86_64"))
    identity = (f"{info.st_dev}:{info.st_ino}:{info.st_size + (not fresh)}:"
                f"{info.st_mtime_ns // 10**9}.{info.st_mtime_ns % 10**9:09}")
    machine.program(f"{WRAPPERS}/qemu-0", f"#!/{EMULATOR}\n# x\nemulator={emulator}\nidentity={identity}\n")


@case("wrappers.files", "OK", "is fresh")
def fresh_wrapper(machine):
    """it is of this QEMU"""
    make_wrapper(machine)


@case("wrappers.files", "WARN", "is older than the /usr/bin/qemu-system-x86_64", "systemctl restart vfio-profiled")
def stale_wrapper(machine):
    """QEMU is newer"""
    make_wrapper(machine, fresh=False)


@case("wrappers.files", "FAIL", f"'win10' runs through /{WRAPPERS}/gone", "not there")
def lost_wrapper(machine):
    """a definition names one that is not there"""
    machine.guest(emulator=f"/{WRAPPERS}/gone", prepared=False, profile=None)


@case("wrappers.mount", "FAIL", "noexec", good="can run programs")
def noexec(machine):
    """the folder is on a noexec mount"""
    machine.write("proc/self/mountinfo", MOUNTS + f"40 22 8:2 / /{STATE} rw,noexec - ext4 /dev/sda2 rw\n")


@case("wrappers.program", "FAIL", "not there", "install", good=EMULATOR)
def no_program(machine):
    """the interpreter is gone"""
    machine.remove(EMULATOR)


def enforce(machine, module=True):
    machine.write("sys/fs/selinux/enforce", "1")
    machine.write("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
    machine.write("etc/selinux/targeted/contexts/files/file_contexts",
                  "/x\tsystem_u:object_r:vfioprofile_exec_t:s0\n" if module else "/x\tsystem_u:object_r:bin_t:s0\n")


@case("selinux.module", "FAIL", "enforcing", "semodule", "vfioprofile.pp", good="off")
def no_selinux_module(machine):
    """SELinux enforces and our module is not loaded"""
    enforce(machine, module=False)


@case("selinux.labels", "FAIL", HOOK, "vfioprofile_hook_exec_t", "restorecon")
def wrong_label(machine):
    """the hook has no label"""
    enforce(machine)


def test_right_label():
    """selinux.labels: OK where the hook has its label"""
    machine = Machine()
    enforce(machine)
    try:
        os.setxattr(machine.path(HOOK), "security.selinux", b"system_u:object_r:vfioprofile_hook_exec_t:s0\0")
    except OSError as error:
        raise Skip(f"needs the right to label files: {error}") from error
    expect(machine, "selinux.labels", "OK", "vfioprofile_hook_exec_t")


@case("selinux.booleans", "FAIL", "virt_use_vfio is off", "setsebool -P virt_use_vfio=1")
def boolean(machine):
    """virt_use_vfio is off"""
    enforce(machine)
    machine.write("sys/fs/selinux/booleans/virt_use_vfio", "0 0")
    machine.write("sys/fs/selinux/booleans/virt_use_sysfs", "1 1")


def confine(machine, lines):
    machine.write("sys/module/apparmor/parameters/enabled", "Y\n")
    machine.write("etc/apparmor.d/usr.sbin.libvirtd", "")
    for path in ("usr.sbin.libvirtd", "abstractions/libvirt-qemu"):
        machine.write(f"etc/apparmor.d/local/{path}", lines)


@case("apparmor.lines", "FAIL", "do not let it run the wrappers", "vfio-profile-apparmor add", good="off")
def no_lines(machine):
    """our lines are missing"""
    confine(machine, "# nothing\n")


@case("apparmor.lines", "OK", "with our lines")
def lines(machine):
    """our lines are there"""
    confine(machine, f"/{WRAPPERS}/* rix,\n")


@case("apparmor.lines", "FAIL", "the kernel has libvirt's profile without them", "systemctl reload apparmor")
def lines_not_loaded(machine):
    """our lines are there, and libvirt's profile was not loaded since"""
    confine(machine, f"/{WRAPPERS}/* rix,\n")
    machine.write("sys/kernel/security/apparmor/profiles", "libvirtd (enforce)\nlibvirtd//qemu_bridge_helper (enforce)\n")


@case("security.denials", "WARN", "1 about us", "comm=\"libvirtd\"", good="none about us")
def denial(machine):
    """the audit log has one about us, and others that are old, not about us, or noise"""
    line = 'type=AVC msg=audit({}.1:2): avc:  denied  {{ {} }} for comm="libvirtd" name="{}"\n'
    now = int(time.time())
    machine.write("var/log/audit/audit.log",
                  line.format(BOOT, "execute", "50-vfio-profile") + line.format(now, "execute", "x") +
                  line.format(now, "execmem", "50-vfio-profile") + line.format(now, "siginh", "50-vfio-profile") +
                  line.format(now, "execute", "50-vfio-profile"))


# --- a domain -----------------------------------------------------------------------


@case("domain.ready", "WARN", "not as 'pinned' asks", "vfio-profile set win10 pinned")
def stale(machine):
    """its definition is not prepared"""
    return machine.guest(prepared=False)


@case("domain.ready", "WARN", "no profile", "vfio-profile set plain PROFILE")
def untagged(machine):
    """it has no tag"""
    return machine.guest("plain", profile=None)


@case("domain.warnings", "WARN", "-cpu (", "hidden KVM", "features/kvm/hidden")
def own_arguments(machine):
    """it gives QEMU a CPU of its own"""
    return machine.guest(profile="nvidia", tail="<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
                         "<q:arg value='-cpu'/><q:arg value='host'/></q:commandline>")


@case("domain.devices", "FAIL", "no PCI device 0000:07:00.0")
def lost_device(machine):
    """a device is not there"""
    return machine.guest(cards=("0000:07:00.0",))


@case("domain.devices", "FAIL", "0000:01:00.1", "snd_hda_intel", "assign it")
def half_card(machine):
    """it gets half of a card"""
    machine.bind("0000:01:00.1", "snd_hda_intel")
    return machine.guest(cards=("0000:01:00.0",))


@case("domain.warnings", "WARN", "0000:00:02.0 is the display that the host started on", "<rom file=")
def boot_display(machine):
    """it gets the boot display, without a ROM file"""
    return machine.guest(cards=("0000:00:02.0",))


@case("domain.rom", "FAIL", "/usr/share/card.rom", "it is for 1002:67df, and the card is 10de:", "the maker's file")
def foreign_rom(machine):
    """its ROM file is another card's"""
    rom = bytearray(1024)
    rom[:3], rom[0x18], rom[0x40:0x44], rom[0x44:0x48] = b"\x55\xaa\x02", 0x40, b"PCIR", b"\x02\x10\xdf\x67"
    rom[0x50], rom[0x55] = 2, 0x80
    machine.write("usr/share/card.rom", "")
    with open(machine.path("usr/share/card.rom"), "wb") as file:
        file.write(rom)
    name = machine.guest()
    with open(machine.path(f"etc/libvirt/qemu/{name}.xml"), encoding="utf-8") as file:
        text = file.read()
    machine.write(f"etc/libvirt/qemu/{name}.xml",
                  text.replace("</source>", "</source><rom file='/usr/share/card.rom'/>", 1))
    return name


@case("domain.handover", "WARN", "lightdm.service is not back", "--give-back")
def lost_desktop(machine):
    """a desktop did not come back from a handover"""
    machine.write(f"{RUN}/handover", "10:00:00 win10: lightdm.service is stopped: Xorg (578) has /dev/dri/card0 open\n"
                  "10:05:00 win10: lightdm.service is not back: it is 'failed'\n")
    return machine.guest()


@case("domain.pages", "FAIL", "2048 pages of 2M, 100 are free there", "none are made", "memory.allocate")
def reserved_only(machine):
    """pages are missing, and its profile lets none be made"""
    machine.write(f"{NODE}/hugepages/hugepages-2048kB/free_hugepages", "100\n")
    return machine.guest(overrides="<vfio:memory allocate='no'/>")


@case("domain.pages", "OK", "100 are free there; the others are made at the start")
def some_pages(machine):
    """pages are missing, and there is memory for them"""
    machine.write(f"{NODE}/hugepages/hugepages-2048kB/free_hugepages", "100\n")
    machine.write(f"{NODE}/meminfo", f"Node 0 MemFree: {8192 * MIB} kB\n")
    return machine.guest()


@case("domain.pages", "WARN", "1948 are to be made at the start, and only 64 MiB")
def few_pages(machine):
    """pages are missing, and there is no memory for them on the node"""
    name = some_pages(machine)
    machine.write(f"{NODE}/meminfo", f"Node 0 MemFree: {64 * MIB} kB\n")
    return name


@case("daemon.runs", "WARN", "does not run; no guest", good="process 701")
def daemon_of_a_container(machine):
    """another PID namespace has one"""
    machine.write("proc/701/status", "Name:\tvfio-profiled\nUid:\t0\t0\t0\t0\nNSpid:\t701\t12\n")
    machine.remove(f"{RUN}/gate.sock")


@case("domain.cpus", "FAIL", "not on line", "7")
def offline(machine):
    """a CPU that it is pinned to went off line"""
    name = machine.guest()
    machine.write("sys/devices/system/cpu/online", "0-6\n")
    return name


@case("domain.topology", "OK", "a topology for 4 vCPUs", "vfio-profile set ", "--vcpus N")
def shown_topology(machine):
    """libvirt refuses another number of vCPUs while it stands"""
    return machine.guest(overrides="<vfio:cpu topology='match'/>")


@case("domain.conflict", "WARN", "on CPUs of 'other', which runs")
def conflict(machine):
    """another guest runs on its CPUs"""
    machine.guest("other", vcpus=6, cards=(), running=True)
    return machine.guest(vcpus=6)


def link(machine, now_width="16", now_speed="8.0 GT/s PCIe"):
    for name, text in {"max_link_speed": "8.0 GT/s PCIe", "max_link_width": "16", "current_link_speed": now_speed,
                       "current_link_width": now_width}.items():
        machine.attribute("0000:01:00.0", name, text + "\n")
    return machine.guest(running=True)


@case("domain.link", "OK", "0000:01:00.0: 8.0 GT/s on 16 lanes")
def whole_link(machine):
    """the card has all its lanes"""
    return link(machine)


@case("domain.link", "WARN", "0000:01:00.0: 8.0 GT/s on 4 lanes, of 8.0 GT/s on 16", "slot with all lanes")
def narrow_link(machine):
    """it has a quarter of them"""
    return link(machine, now_width="4")


@case("domain.link", "WARN", "2.5 GT/s on 16 lanes", "idles")
def slow_link(machine):
    """the link is slow"""
    return link(machine, now_speed="2.5 GT/s PCIe")


@case("domain.msi", "WARN", "0000:01:00.1: no interrupt by message", "MSISupported")
def no_msi(machine):
    """the audio function has none"""
    machine.write("sys/bus/pci/devices/0000:01:00.0/msi_irqs/40", "msi\n")
    return machine.guest(running=True)


@case("domain.msi", "OK", "0000:01:00.0: 1 interrupt by message")
def msi(machine):
    """the card has one"""
    return no_msi(machine)


@case("domain.drift", "WARN", "vCPU 0", "stop and start the guest")
def drift(machine):
    """a vCPU is somewhere else"""
    name = machine.guest(running=True)
    machine.write("proc/900/task/901/status", "Name:\tCPU 0/KVM\nCpus_allowed_list:\t0-7\n")
    return name


# --- distributions --------------------------------------------------------------------


def test_distributions():
    """the advice is this distribution's"""
    wanted = {"debian": "update-grub", "ubuntu": "update-grub",
              "fedora": 'grubby --update-kernel=ALL --args="iommu=pt"',
              "rocky": 'grubby --update-kernel=ALL --args="iommu=pt"',
              "arch": "grub-mkconfig -o /boot/grub/grub.cfg", "manjaro": "grub-mkconfig -o /boot/grub/grub.cfg"}
    for name, release in DISTRIBUTIONS.items():
        machine = Machine()
        machine.write("etc/os-release", release)
        strict(machine)
        expect(machine, "iommu.passthrough", "WARN", wanted[name])
    machine.remove("etc/default/grub")
    machine.write("boot/loader/entries/arch.conf", "title Arch\n")
    expect(machine, "iommu.passthrough", "WARN", "/boot/loader/entries")


if __name__ == "__main__":
    main(globals())
