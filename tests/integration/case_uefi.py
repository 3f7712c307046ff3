# SPDX-License-Identifier: LGPL-2.1-or-later
"""Windows 11 as virt-manager writes it (OVMF, secure boot, swtpm): it starts as planned, and is not said to drift."""
import contextlib
import json
import os
import shutil
import xml.etree.ElementTree as ET

from hyperv import FULL, NEED_VPINDEX, check_log, for_kvm, hyperv_words, tool_filter, without_kvm
from lib import (QEMU, Qemu, Skip, check, check_equal, connect, defined, definition, has, main,
                 need_cpus_beside_the_host, note, online_cpus, profile_tool, run, tag, test, virsh,
                 wait_ready, wait_until)

MIB = 128

connection = connect()


def need_firmware_and_tpm():
    for program, package in (("virt-install", "virtinst"), ("swtpm", "swtpm"), ("swtpm_setup", "swtpm-tools")):
        if shutil.which(program) is None:
            raise Skip(f"needs {program} ({package})")
    capabilities = ET.fromstring(connection.getDomainCapabilities(QEMU, None, "q35", "qemu"))
    if capabilities.find("os/loader/enum[@name='secure'][value='yes']") is None:
        raise Skip("needs firmware with secure boot (ovmf)")


def windows_11(name, profile):
    """virt-install and virt-manager write a guest with the same code."""
    text = run("virt-install", "--virt-type", "qemu", "--name", name, "--osinfo", "win11", "--memory", str(MIB),
               "--vcpus", "1", "--disk", "none", "--network", "none", "--install", "no_install=yes",
               "--print-xml").stdout
    return text.replace("<metadata>", f"<metadata>{tag(profile)}", 1)


def task_called(qemu, name):
    """The id of a thread of that name; None: there is none now."""
    for task in os.listdir(f"/proc/{qemu.pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if qemu.read(f"task/{task}/comm").startswith(name):
                return int(task)
    return None


def check_secure(domain):
    check(has(domain.XMLDesc(), "os/loader[@secure='yes']"), "no secure boot")
    check(has(domain.XMLDesc(), "devices/tpm/backend[@type='emulator']"), "no TPM")
    check(any(device.startswith(('{"driver":"tpm-', "tpm-")) for device in Qemu(domain.name()).option("-device")),
          "QEMU has no TPM")


def drift(name):
    (entry,) = json.loads(profile_tool("status", "--json", name).stdout)
    return entry["drift"]


@test("it starts with a vendor id of its own; a pool's threads are no drift, and what libvirt placed is")
def spoofed():
    need_cpus_beside_the_host()
    need_firmware_and_tpm()
    with defined(connection, windows_11("spoofed", "gaming")) as domain:
        wait_ready("spoofed")
        check(has(definition(domain), "features/hyperv/vendor_id[@state='on']"), "there is no vendor_id")
        domain.create()
        check_secure(domain)
        qemu = Qemu("spoofed")
        check_equal(qemu.hugetlb_kib(), MIB * 1024, "guest memory on hugepages, KiB")
        check("vendor-id=0123456789ab" in hyperv_words(qemu.option("-cpu")[0]), f"-cpu {qemu.option('-cpu')}")
        # The firmware writes the flash: a pool's thread does that, often started by the vCPU.
        worker = wait_until("a thread of a pool", lambda: task_called(qemu, "worker"), 90, 0.01)
        note(f"threads: {qemu.threads()}")
        check_equal(drift("spoofed"), [], "as it was started")
        with contextlib.suppress(ProcessLookupError):  # it ends when it has had nothing to do for a while
            os.sched_setaffinity(worker, os.sched_getaffinity(task_called(qemu, "CPU 0/")))
        check_equal(drift("spoofed"), [], "a worker on the vCPU's CPU")
        os.sched_setaffinity(qemu.pid, online_cpus())
        (line,) = drift("spoofed")
        check(line.startswith("QEMU's main thread may run on CPUs"), line)


@test("the same with the full set of Hyper-V's features: QEMU is given it; without those of a KVM it starts")
def full():
    need_firmware_and_tpm()
    before = for_kvm(windows_11("full", "gaming"))
    with defined(connection, without_kvm(tool_filter("rewrite", xml=before))) as domain:
        arguments = virsh("domxml-to-native", "qemu-argv", "--domain", domain.name()).stdout.split()
        check_equal(hyperv_words(arguments[arguments.index("-cpu") + 1]), FULL, "-cpu")
    few = tool_filter("rewrite", xml=before.replace("</hyperv>", "<vpindex state='off'/></hyperv>"))
    with defined(connection, without_kvm(few)) as domain:
        domain.create()
        check_secure(domain)
        check_equal(hyperv_words(Qemu("full").option("-cpu")[0]), FULL - NEED_VPINDEX, "-cpu")
        check_log("full")


main()
