# SPDX-License-Identifier: LGPL-2.1-or-later
"""NVIDIA's card: with 'nvidia' the guest's CPUID names neither KVM nor Hyper-V."""
import re

from harness.channel import Timeout
from harness.spec import Card, Machine

# A KVM of the machine's own, so that there is something to hide.
MACHINE = Machine(kvm_inside=True, cpu="EPYC", cores=2, threads=1, nodes=1, mib=2048, cards=(Card("gpu1"),))

HYPERV = """<hyperv mode='custom'><relaxed state='on'/><vapic state='on'/>
            <spinlocks state='on' retries='8191'/></hyperv>"""
FULL = ("vpindex", "runtime", "synic", "stimer", "stimer-direct", "time", "frequencies", "tlbflush", "ipi")
CLOCK = "<clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>"


def boot(guest, tries=3):
    """Starts it until its boot sector runs: with QEMU's emulated SVM below it a KVM guest hangs now and then in its
    BIOS, whatever its definition is. One that never comes up still fails."""
    guest.start()
    try:
        guest.wait_up(30)
    except Timeout:
        if tries == 1:
            raise
        guest.stop()
        boot(guest, tries - 1)


def signature(guest):
    """What leaf 0x40000000 says, from inside the guest; guest.S writes a dot for what is not printable."""
    boot(guest)
    said = guest.says().split("hypervisor: ")[1].split("\n")[0].strip()
    guest.stop()
    return said


def run(vm):
    vm.step("the card gets NVIDIA's vendor id")
    device = f"/sys/bus/pci/devices/{vm.machine.spec.address('gpu1')}"
    vm.sh(f"echo 0x10de > /run/nvidia-vendor; mount --bind /run/nvidia-vendor $(readlink -f {device})/vendor")
    settings = {"cards": ["gpu1"], "vcpus": 1, "mib": 256, "kind": "kvm", "rom": False}
    vm.reserve(node=0, pages=128)

    vm.step("control: without the profile the guest sees KVM")
    vm.equal(signature(vm.define("plain", **settings)), "KVMKVMKVM...", "leaf 0x40000000")

    vm.step("control: with Hyper-V's features it sees Hyper-V")
    guest = vm.define("win7", features=HYPERV, clock=CLOCK, **settings)
    untouched = guest.xml()
    vm.equal(signature(guest), "Microsoft Hv", "leaf 0x40000000")

    vm.step("'nvidia': KVM hidden, Hyper-V and its clock out")
    vm.sh("vfio-profile set win7 nvidia")
    prepared = guest.xml()
    vm.check("<hidden state='on'/>" in prepared, "KVM is not hidden")
    definition = prepared.split("</metadata>")[1]
    vm.check("<hyperv" not in definition and "hypervclock" not in definition, "something of Hyper-V is left")

    vm.step("'nvidia': the guest sees no hypervisor")
    seen = signature(guest)
    vm.check(not {"KVM", "Microsoft"} & {seen[:3], seen[:9]}, f"leaf 0x40000000 says {seen}")
    vm.note(f"leaf 0x40000000 says {seen}")

    vm.step("'gaming' knows the vendor: hidden as well, Hyper-V in full, under another name, and QEMU says nothing")
    vm.sh("vfio-profile set win7 gaming")
    vm.check("<hidden state='on'/>" in guest.xml(), "KVM is not hidden")
    vm.sh("truncate -s 0 /var/log/libvirt/qemu/win7.log")
    vm.equal(signature(guest), "0123456789ab", "leaf 0x40000000")
    log = vm.sh("cat /var/log/libvirt/qemu/win7.log").out
    missing = [word for word in FULL if f"hv-{word}" not in log]
    vm.check(not missing, f"QEMU was not given {missing}")
    said = [line for line in log.splitlines() if re.search("warning:|error:|not supported", line, re.I)]
    vm.equal(said, [], "QEMU's own words")

    vm.step("unset: the definition is as it was")
    vm.sh("vfio-profile unset win7")
    vm.equal(guest.xml(), untouched, "the definition")
    vm.sh(f"umount $(readlink -f {device})/vendor")
