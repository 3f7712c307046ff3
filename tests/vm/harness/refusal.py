# SPDX-License-Identifier: LGPL-2.1-or-later
"""A start that the gate refuses: one line of ours, at once, and the host as it was."""

# A refusal may take this long beyond what virsh itself takes, at the best of three tries in an emulated machine.
SECONDS = 2

START = """
now() { date +%s%N; }
first=$(now); virsh domstate NAME > /dev/null; second=$(now); virsh start NAME >&2; code=$?; third=$(now)
echo $((third - second - (second - first))); exit $code
"""

# Whatever a start binds, allocates, notes, runs or pins; and libvirt still answers.
HOST = """
ls -l /sys/bus/pci/devices/*/driver | sed 's/.*[0-9] //'; grep -H . /sys/bus/pci/devices/*/driver_override
grep -H . /sys/devices/system/node/node*/hugepages/*/*_hugepages
ls /dev/vfio; pgrep -a qemu-system
systemctl show -p Id,AllowedCPUs init.scope system.slice user.slice
ls /run/vfio-profile/holds && timeout 10 virsh list --all
"""


def refuse(vm, name, *words):
    """The start is refused with a line that has these words, in time, and leaves the host as it was."""
    before = vm.sh(HOST).out
    for _ in range(3):
        result = vm.sh(START.replace("NAME", name), ok=False)
        seconds = int(result.out) / 1e9
        if seconds < SECONDS:
            break
    check_line(vm, name, result.err, *words)
    vm.check(seconds < SECONDS, f"the refusal took {seconds:.1f} s")
    vm.equal(vm.sh(HOST).out, before, "the host after the refusal")


def check_line(vm, name, text, *words):
    """What virsh says has one line of ours, with these words."""
    begin = f"vfio-profile: domain '{name}': "
    lines = [line.split(begin)[1] for line in text.splitlines() if begin in line]
    vm.equal(len(lines), 1, f"lines of ours in {text!r}")
    missing = [word for word in words if word not in lines[0]]
    vm.check(not missing, f"the refusal does not say {missing}: {lines[0]}")
    vm.note(lines[0])
