# SPDX-License-Identifier: LGPL-2.1-or-later
"""The full set of Hyper-V's features, on a machine that may have no KVM."""
import re

import libvirt

from lib import check_equal, run

# As QEMU's -cpu has them, without "hv-" and "=on".
FULL = {"relaxed", "vapic", "spinlocks=0x1fff", "vpindex", "runtime", "synic", "stimer", "stimer-direct", "time",
        "frequencies", "tlbflush", "ipi", "vendor-id=0123456789ab"}
# QEMU has vpindex, and what needs it, only with a KVM.
NEED_VPINDEX = {"vpindex", "synic", "stimer", "stimer-direct", "tlbflush", "tlbflush-ext", "ipi"}
for version, word in ((10_007_000, "xmm-input"), (11_000_000, "tlbflush-ext")):
    if libvirt.getVersion() >= version:
        FULL.add(word)


def tool_filter(*arguments, xml):
    return run("vfio-profile", *arguments, stdin=xml).stdout


def for_kvm(text, cpu=""):
    return re.sub("type=(['\"])qemu\\1", "type='kvm'", text, count=1).replace("<devices>", f"{cpu}<devices>", 1)


def without_kvm(text):
    """A machine without KVM can define it as well; the daemon leaves it alone, as it has no tag and no state."""
    return re.sub("<metadata>.*</metadata>", "", text, flags=re.S).replace('type="kvm"', "type='qemu'", 1)


def hyperv_words(cpu):
    """Of QEMU's -cpu: {"vpindex", "spinlocks=0x1fff", …}"""
    return {word[3:].removesuffix("=on") for word in cpu.split(",") if word.startswith("hv-")}


def check_log(name):
    with open(f"/var/log/libvirt/qemu/{name}.log", encoding="utf-8") as log:
        said = [line for line in log if re.search("warning|error|not supported", line, re.I)]
    check_equal(said, [], "QEMU's own words")
