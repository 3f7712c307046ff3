# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a case works with: the machine, its cards, its guests, and checks."""
import dataclasses
import os
import re
import time

from . import guest, project, terminal
from .channel import Timeout


class Vm:
    def __init__(self, machine, progress, output, disk):
        self.machine = machine
        self._progress = progress
        self._output = output
        self._disk = disk
        self._case = ""
        self._step = None

    # --- the case's course ---

    def begin_case(self, name):
        """Lines of progress are of this one from here on."""
        self._case = name

    def step(self, text):
        """From here on the case does this; the line of progress comes when it is done."""
        self.end_step()
        self._step = f"{self._case}: {text}", time.monotonic()

    def end_step(self, verdict=""):
        if self._step:
            self._progress.step_done(*self._step, verdict)
        self._step = None

    def note(self, text):
        self._progress.note(f"{self._case}: {text}")

    # --- commands and checks ---

    def sh(self, command, ok=True, deadline=60, stdin=None):
        """Runs a shell command in the machine. ok=None: any exit status; ok=False: it must fail."""
        result = self.machine.channel.run(command, deadline, stdin and stdin.encode())
        if ok is not None and (result.exit == 0) != ok:
            raise AssertionError(str(result))
        return result

    def write(self, path, content):
        if isinstance(content, str):
            content = content.encode()
        result = self.machine.channel.run(f"mkdir -p $(dirname {path}) && cat > {path}", 30, content)
        if result.exit != 0:
            raise AssertionError(str(result))

    @staticmethod
    def check(condition, text):
        if not condition:
            raise AssertionError(text)

    @staticmethod
    def equal(got, wanted, what):
        if got != wanted:
            raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")

    @staticmethod
    def wait(what, predicate, seconds=30, pause=1):
        """Polls until the predicate gives something true, and returns that."""
        end = time.monotonic() + seconds
        while True:
            found = predicate()
            if found:
                return found
            if time.monotonic() > end:
                raise Timeout(f"after {seconds} s still not: {what}")
            time.sleep(pause)

    # --- guests and cards ---

    def define(self, name, cards=(), **settings):
        """Defines a guest with these cards of the machine, see guest.domain_xml."""
        addresses = [self.machine.spec.address(card) for card in cards]
        self.define_xml(guest.domain_xml(name, addresses, **settings))
        return guest.Guest(self, name)

    def define_xml(self, text):
        self.sh("virsh define /dev/stdin", stdin=text)

    def reserve(self, node, pages):
        """2 MiB pages in the node's pool, as an administrator reserves them."""
        pool = f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB"
        self.sh(f"echo {pages} > {pool}/nr_hugepages && test $(cat {pool}/nr_hugepages) = {pages}")

    def free_pages(self):
        """{node: its free pages of 2 MiB}"""
        out = self.sh("grep -H . /sys/devices/system/node/node*/hugepages/hugepages-2048kB/free_hugepages").out
        return {int(node): int(pages) for node, pages in re.findall(r"/node(\d+)/.*:(\d+)", out)}

    def driver(self, card):
        """The host driver that a card is bound to, '' for none."""
        path = f"/sys/bus/pci/devices/{self.machine.spec.address(card)}/driver"
        return os.path.basename(self.sh(f"readlink {path}", ok=None).out.strip())

    def screenshot(self, card, name):
        path = os.path.join(self._output, f"{name}.png")
        self.machine.screenshot(card, path)
        return path

    # --- the machine's life ---

    def prepare(self):
        """Installs the package. It does the rest itself, so nothing here enables, starts or reloads anything.

        libvirt has asked QEMU what it can do, as it does once on a user's machine.
        """
        self.sh("virsh domcapabilities", deadline=120)
        self.write(guest.DISK, self._disk)
        self.sh("tar -C /root -xf /dev/vdb")
        self.dpkg(f"--install /root/{project.NAME}")

    def confine_guests(self):
        """Each guest in a domain or by a profile of its own, as libvirt has it where nobody says otherwise."""
        self.sh("sed -i '/^security_driver/d' /etc/libvirt/qemu.conf && systemctl restart libvirtd")

    def dpkg(self, arguments, ok=True):
        """A new initrd, which others' scripts make at the end of it, is a minute for nothing: nobody boots it."""
        settings = "/etc/initramfs-tools/update-initramfs.conf"
        self.sh(f"sed -i 's/^update_initramfs=.*/update_initramfs=no/' {settings}")
        try:
            return self.sh(f"dpkg {arguments}", ok, deadline=180)
        finally:
            self.sh(f"sed -i 's/^update_initramfs=.*/update_initramfs=yes/' {settings}")

    def reboot(self):
        self.machine.reboot()

    def rebuild(self, **parts):
        """Off, other parts of the Machine, and on."""
        self.machine.spec = dataclasses.replace(self.machine.spec, **parts)
        self.machine.reboot()

    def power_cut(self):
        self.machine.power_cut()
        self.machine.power_on()

    def shell(self):
        self.sh("udevadm trigger --action=add /dev/ttyS1 && systemctl start serial-getty@ttyS1")
        terminal.attach(self.machine.shell)

    def write_profile(self, name, text):
        """An administrator's, which the daemon has read then."""
        self.sh(f"printf '{text}' > /etc/vfio-profile/profiles.d/{name}.conf && sleep 2")

    def clean(self):
        """As it was before a case, for the next one. A case itself checks what has to be given back."""
        self.sh("for guest in $(virsh list --name); do virsh destroy $guest; done; "
                "for guest in $(virsh list --all --name); do virsh undefine --managed-save $guest; done; "
                "for node in /sys/devices/system/node/node*/hugepages/*/nr_hugepages; do echo 0 > $node; done; "
                "rm -rf /etc/vfio-profile/profiles.d/*", deadline=120)

    def journals(self):
        """What to show of a failure, as far as the machine still answers; all of it goes to the output folder."""
        try:
            self.machine.save("journal.txt", self.machine.channel.run("journalctl --no-pager -o short-monotonic", 90).out)
            return self.machine.channel.run(
                "journalctl --no-pager -o short-monotonic -b -n 60 -u vfio-profiled -u libvirtd; "
                "tail -n 8 $(ls -t /var/log/libvirt/qemu/*.log | head -n 2)", 60).out
        except (Timeout, RuntimeError, OSError, AttributeError) as error:
            return f"no journals: {error}"
