# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine that runs: the outer QEMU, its disks, its console, its life and its end."""
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from . import unixsocket
from .channel import Channel, Timeout
from .qmp import Qmp
from .rootfs import Missing
from .saved import DISK, MEMORY

QEMU = "qemu-system-x86_64"
KERNEL_LINE = "root=/dev/vda rw console=ttyS0 panic=-1 random.trust_cpu=on mitigations=off"
# One thread, whatever the host has: with several QEMU 7.2 now and then misses a write to the kernel's code, and
# all CPUs hang, and they burn more time on each other's locks than they gain.
EMULATION = ["-accel", "tcg,thread=single"]
BOOT_DEADLINE = 240
POWEROFF_DEADLINE = 120
RESUME_DEADLINE = 60
# Such a kernel needs two seconds where KVM works.
KVM_DEADLINE = 6


def check_host():
    for program in (QEMU, "qemu-img", "setpriv"):
        if not shutil.which(program):
            raise Missing(f"needs {program}, which is not installed")


def find_accelerator(base):
    """KVM where it runs an ordinary kernel up to its first process, else emulation."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return EMULATION
    with tempfile.TemporaryFile() as console:
        probe = subprocess.Popen(
            [*_leashed(), QEMU, "-accel", "kvm", "-machine", "q35", "-cpu", "Skylake-Client,-hle,-rtm", "-m", "512M",
             "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio",
             "-kernel", f"{base}/vmlinuz", "-initrd", f"{base}/initrd.img", "-append", "console=ttyS0 panic=-1"],
            stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.DEVNULL)
        end = time.monotonic() + KVM_DEADLINE
        try:
            while time.monotonic() < end and probe.poll() is None:
                console.seek(0)
                if b"Run /init as init process" in console.read():
                    return ["-accel", "kvm"]
                time.sleep(0.2)
        finally:
            probe.kill()
            probe.wait()
    return EMULATION


class RunningMachine:
    """One machine from its first boot to its end. Its root disk is its own, over the base's."""

    def __init__(self, spec, base, accelerator, project, output, work, saved=None):
        self.spec = spec
        self.output = output
        self.channel = None
        self._base = base
        self.accelerator = EMULATION if spec.kvm_inside else accelerator
        self._project = project
        self._folder = tempfile.mkdtemp(prefix="m-", dir=work)
        self._disk = os.path.join(self._folder, "root.qcow2")
        self._initrd = f"{base}/initrd.img"
        self.console = os.path.join(output, "console.log")
        self.shell = os.path.join(self._folder, "shell")
        self._process = None
        self._qmp = None
        self.stopped = ""
        below = ["qcow2", "-b", os.path.join(saved, DISK)] if saved else ["raw", "-b", f"{base}/root.img"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", *below, self._disk], check=True)

    def power_on(self):
        for more in (2, 1, 0):
            self._launch()
            try:
                self.wait_booted()
                return
            except (OSError, RuntimeError):
                if not more or not self._has_crashed():
                    raise
                self.power_cut()

    def resume(self, saved):
        """Goes on where `snapshot` was."""
        self._launch("-incoming", f"exec:cat {shlex.quote(os.path.join(saved, MEMORY))}")
        self._wait_status("query-status", "paused")
        self._qmp.ask("cont")
        self.channel.synchronize(RESUME_DEADLINE)
        self.channel.run(f"date --set=@{time.time():.0f}", 30)

    def snapshot(self, disk, memory):
        """For `resume`, of a machine with that disk; this one runs on."""
        self._qmp.ask("stop")
        self._qmp.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 33})
        self._qmp.ask("migrate", uri=f"exec:cat > {shlex.quote(memory)}")
        self._wait_status("query-migrate", "completed")
        shutil.copyfile(self._disk, disk)
        self._qmp.ask("cont")

    def _wait_status(self, question, wanted):
        end = time.monotonic() + RESUME_DEADLINE
        while (answer := self._qmp.ask(question)["status"]) != wanted:
            if time.monotonic() > end or answer == "failed":
                raise RuntimeError(f"QEMU's {question} is '{answer}' and not '{wanted}': {self.tail('qemu.log')}")
            time.sleep(0.1)

    def stop(self, reason):
        """From another thread: it ends, and whoever waits for it gets an error; `stopped` says why."""
        self.stopped = reason
        if self.is_on():
            self._process.kill()

    def _launch(self, *more):
        if self.stopped:
            raise RuntimeError(self.stopped)
        sockets = {name: os.path.join(self._folder, name) for name in ("monitor", "agent", "shell")}
        for path in sockets.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        command = [
            *_leashed(), QEMU, "-nodefaults", "-display", "none", *self.accelerator, *self.spec.options(),
            "-kernel", f"{self._base}/vmlinuz", "-initrd", self._initrd,
            "-append", f"{KERNEL_LINE} {self.spec.kernel}",
            # What the machine has flushed is in this host's memory, which a killed QEMU does not take along.
            *_disk("root", f"format=qcow2,cache=unsafe,file={self._disk}"),
            *_disk("project", f"format=raw,readonly=on,file={self._project}"),
            "-chardev", f"file,id=console,append=on,path={self.console}", "-serial", "chardev:console",
            "-serial", f"unix:{sockets['shell']},server=on,wait=off",
            "-qmp", f"unix:{sockets['monitor']},server=on,wait=off",
            "-device", "virtio-serial-pci,bus=pcie.0", "-chardev", f"socket,id=agent,path={sockets['agent']},server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
            *more]
        with open(os.path.join(self.output, "qemu.log"), "ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._qmp = Qmp(unixsocket.connect(sockets["monitor"], 30, self.is_on))
            self.channel = Channel(unixsocket.connect(sockets["agent"], 30, self.is_on), self.spec.shell)
        except RuntimeError as error:
            raise RuntimeError(f"the outer QEMU did not start: {self.tail('qemu.log')}") from error

    def wait_booted(self):
        self.channel.synchronize(BOOT_DEADLINE)
        self.channel.run("systemctl is-system-running --wait", BOOT_DEADLINE)

    def reboot(self):
        """Off and on: an emulated machine that restarts in the same process boots five times as slowly."""
        self.channel.run("systemctl --no-block poweroff", 30)
        try:
            self._process.wait(POWEROFF_DEADLINE)
        except subprocess.TimeoutExpired:
            raise Timeout(f"the machine did not end within {POWEROFF_DEADLINE} s") from None
        self.power_cut()
        self.power_on()

    def take_initrd(self):
        """The next boots are with the initrd that the machine has made for itself, as a boot loader would do it."""
        release = self.channel.run("uname -r", 30).out.strip()
        self._initrd = os.path.join(self._folder, "initrd.img")
        with open(self._initrd, "wb") as file:
            file.write(self.channel.read(f"/boot/initrd.img-{release}"))

    def drop_initrd(self):
        """The next boots are with the base's again."""
        self._initrd = f"{self._base}/initrd.img"

    def screenshot(self, card, path):
        self._qmp.ask("screendump", filename=path, device=card, format="png")

    def power_cut(self):
        """What the disk has is all that is left."""
        if self._process is not None:
            self.channel and self.channel.close()
            self._qmp and self._qmp.close()
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = self._qmp = self.channel = None

    def _has_crashed(self):
        """QEMU 7.2 may, where one CPU writes to a device while another moves a PCI device's memory, as at a boot."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(5) == -signal.SIGSEGV
        return False

    def is_on(self):
        return self._process is not None and self._process.poll() is None

    def remove(self):
        self.power_cut()
        shutil.rmtree(self._folder, ignore_errors=True)

    def save(self, name, text):
        with open(os.path.join(self.output, name), "w") as file:
            file.write(text)

    def tail(self, name, lines=40):
        try:
            with open(os.path.join(self.output, name), errors="replace") as file:
                found = [line for line in file.read().splitlines() if "TCG doesn't support" not in line]
                return "\n".join(found[-lines:])
        except FileNotFoundError:
            return ""


def _disk(name, options):
    # With several PCI host bridges QEMU's own choice of a bus may be one that takes only bridges.
    return ["-drive", f"if=none,id={name},{options}", "-device", f"virtio-blk-pci,drive={name},bus=pcie.0"]


def _leashed():
    """A QEMU that ends with the suite, however that ends."""
    return ["setpriv", "--pdeathsig", "KILL"]
