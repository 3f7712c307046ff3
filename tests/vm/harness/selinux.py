# SPDX-License-Identifier: LGPL-2.1-or-later
"""SELinux in the machine: the test's own module, and what was denied."""
import os
import re

from .spec import Machine

ENFORCING = Machine(kernel="intel_iommu=on security=selinux selinux=1 enforcing=1 audit=1 audit_backlog_limit=65536")
MODULE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "debianpolicy.cil")
# What a user of Debian's policy has to turn on for guests with assigned cards; the doctor says it.
BOOLEANS = ("virt_use_vfio", "virt_use_sysfs", "virt_use_execmem")
# Denied to all who run a program in another domain; nobody needs them.
NOISE = {"noatsecure", "rlimitinh", "siginh"}
PATTERN = re.compile(r"avc:  denied  \{ (.*?) \}.* scontext=\w+:\w+:(\w+).* tcontext=\w+:\w+:(\w+).* tclass=(\w+)")


class Denial:
    """A line of the audit log."""

    def __init__(self, line, permissions, source, target, kind):
        self.line = line
        self.permissions = set(permissions.split()) - NOISE
        self.source, self.target, self.kind = source, target, kind

    def is_about_us(self):
        return any(word in self.line for word in ("vfio-profile", "vfioprofile_", "50-vfio"))

    def is_expected(self):
        """What is tried, denied, and done without."""
        # libffi, which libvirt's library brings along, looks for memory that can be run: virsh does the same.
        if self.permissions == {"execmem"} and self.source == self.target != "vfioprofile_t":
            return True
        # The daemon looks at each process's open files for the one that has a card open. The module hides this
        # one, and semodule -D shows it again.
        return self.source == "vfioprofile_t" and self.permissions == {"getattr"}


def fill_gaps(vm):
    """The policy that a user of Debian 12 would need without us as well; from here on all denials are shown.

    Nothing, where it was done before on this machine.
    """
    if "debianpolicy" in vm.sh("semodule --list-modules | cat").out.split():
        return
    with open(MODULE) as file:
        vm.write("/root/debianpolicy.cil", file.read())
    vm.sh("semodule -D -X 400 -i /root/debianpolicy.cil", deadline=240)


def turn_on(vm):
    if "--> off" in vm.sh(f"getsebool {' '.join(BOOLEANS)}").out:
        vm.sh(f"setsebool -P {' '.join(f'{name}=1' for name in BOOLEANS)}", deadline=240)


def denials(vm):
    """Those since the machine was booted."""
    # The kernel's own log is limited in its rate, and leaves some out.
    text = vm.sh("journalctl --boot -o cat _TRANSPORT=audit", deadline=120).out
    found = [Denial(line, *match.groups()) for line in text.splitlines() if (match := PATTERN.search(line))]
    return [denial for denial in found if denial.permissions]


def check_no_denials(vm):
    """None of our types and programs was denied anything that it needs."""
    found = [denial for denial in denials(vm) if denial.is_about_us() and not denial.is_expected()]
    vm.check(not found, "denied:\n" + "\n".join(denial.line for denial in found))


def domain(vm, pid):
    """The type of a process, and its level."""
    context = vm.sh(f"cat /proc/{pid}/attr/current").out.rstrip("\n\0")
    return context.split(":", 3)[2:]


def type_of(vm, path):
    return vm.sh(f"stat -c %C {path}").out.split(":")[2]
