# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that boots a kernel and the program `init.c`, and what that printed.

The kernel is Debian's (see `fetch-kernel`), booted directly; the initramfs is
written here. Only for cases, in a sandbox.
"""
import os
import re
import shutil
import subprocess
import time

from lib import Skip, check, domain_xml, is_active, note, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = "/var/lib/libvirt/guest"
BOOT_SECONDS = 90
# QEMU 7.2's emulation with several threads: a CPU that the kernel stops to change its code stays there now and then.
LOCKED_UP = "watchdog: BUG: soft lockup"
COMMAND_LINE = "console=ttyS0 panic=-1"


# --- kernel and initramfs ---------------------------------------------------------


def cpio_entry(name, mode, data=b"", device=(0, 0)):
    """One file of a "newc" archive; the kernel's Documentation has its layout (initramfs buffer format)."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initramfs(init):
    """The archive with that program as /init. Without /dev/console it would have no standard output."""
    return b"".join([
        cpio_entry("dev", 0o040755),
        cpio_entry("dev/console", 0o020600, device=(5, 1)),
        cpio_entry("proc", 0o040755),
        cpio_entry("sys", 0o040755),
        cpio_entry("init", 0o100755, init),
        cpio_entry("TRAILER!!!", 0),
    ])


def prepare():
    """Puts kernel and initramfs where QEMU's user can read them, once."""
    if os.path.isdir(FOLDER):
        return
    init = os.environ.get("GUEST_INIT", "")
    if not os.path.exists(init):
        raise Skip("needs the guest's /init, built for x86_64 with a static libc, and its path in GUEST_INIT")
    found = subprocess.run([f"{HERE}/fetch-kernel", "--cached"], capture_output=True, text=True, timeout=30)
    if found.returncode != 0:
        raise Skip(found.stderr.strip())
    with open(init, "rb") as file:
        archive = initramfs(file.read())
    os.makedirs(FOLDER)
    # A copy: libvirt makes QEMU's user the owner.
    shutil.copyfile(found.stdout.strip(), f"{FOLDER}/vmlinuz")
    with open(f"{FOLDER}/initramfs", "wb") as file:
        file.write(archive)


# --- the domain -------------------------------------------------------------------


def console_of(name):
    return f"{FOLDER}/{name}.console"


def bootable_xml(name, head="", **arguments):
    """As lib.domain_xml, with a kernel that ends in a poweroff, or by destroy when it panics."""
    serial = f"<serial type='file'><source path='{console_of(name)}'/><target port='0'/></serial>"
    text = domain_xml(name, head=f"{head}<on_reboot>destroy</on_reboot>", devices=serial, **arguments)
    boot = (f"<kernel>{FOLDER}/vmlinuz</kernel><initrd>{FOLDER}/initramfs</initrd>"
            f"<cmdline>{COMMAND_LINE}</cmdline>")
    return text.replace("</os>", f"{boot}</os>")


class Seen:
    """What the guest printed: CPUs and NUMA nodes as {number: {key: text}}, and of its hypervisor {key: text}."""

    def __init__(self, text):
        self.cpus, self.nodes, self.hypervisor = {}, {}, {}
        for line in text.split("\nBEGIN\n")[1].split("\nEND\n")[0].splitlines():
            place, key, value = re.fullmatch(r"(\w+)\.(\w+)=(.*)", line).groups()
            kind, number = re.fullmatch(r"([a-z]+)(\d*)", place).groups()
            if kind == "hypervisor":
                self.hypervisor[key] = value
            else:
                {"cpu": self.cpus, "node": self.nodes}[kind].setdefault(int(number), {})[key] = value


def read_console(name):
    try:
        with open(console_of(name), errors="replace") as file:
            return file.read().replace("\r", "")
    except FileNotFoundError:
        return ""


def is_locked_up(domain):
    return is_active(domain) and LOCKED_UP in read_console(domain.name())


def wait_for_guest(domain, tries=3):
    """Waits until the guest has switched itself off, and gives what it printed; one that locks up is started again."""
    name = domain.name()
    begin = time.monotonic()
    try:
        wait_until("the guest ends", lambda: not is_active(domain) or is_locked_up(domain), BOOT_SECONDS, 0.1)
        if tries > 1 and is_locked_up(domain):
            note(f"'{name}' locked up after {time.monotonic() - begin:.0f} s, and is started again")
            domain.destroy()
            domain.create()
            return wait_for_guest(domain, tries - 1)
        text = read_console(name)
        check("\nBEGIN\n" in text and "\nEND\n" in text, "the guest's program did not come to its end")
        return Seen(text)
    except AssertionError as error:
        tail = "\n".join(read_console(name).splitlines()[-60:])
        raise AssertionError(f"domain '{name}': {error}, {time.monotonic() - begin:.0f} s after its start; "
                             f"the end of its console:\n{tail}") from error
