# SPDX-License-Identifier: LGPL-2.1-or-later
"""The three daemons of a sandbox: virtlogd, libvirtd and vfio-profiled.

Run as a program by `sandbox`: starts them, runs a command, and looks through
their logs for what no test may overlook. Cases use the same classes to stop,
kill and restart them. Never to be used outside a sandbox.
"""
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time

LOGS = "/run/sandbox/log"
PIDS = "/run/sandbox/pid"
HERE = os.path.dirname(os.path.abspath(__file__))

# Whatever the case thinks of its result, these in a log make it fail.
ALARMS = re.compile(r"ERROR: (Address|Leak|Undefined\w*)Sanitizer|: runtime error: |-CRITICAL|\bCRITICAL \*\*")
# What libvirtd misses in a sandbox, and each client that ends.
NOISE = re.compile(r"[Ee]thtool|reading data: Input/output|dnsmasq|DBus|udev|dmidecode|/dev/kvm|system bus|: info : |^$|"
                   r"virRunScript|virNetClientProgramDispatchError|GLib-GIO-DEBUG|virSecurityManagerNew")


def answers(path):
    """True if somebody listens on that Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


class Service:
    def __init__(self, name, command, ready_path=None, deadline=60):
        """`ready_path`: a socket that answers when it is ready; without: it says so itself (sd_notify)."""
        self.name = name
        self.command = command
        self.ready_path = ready_path
        self.deadline = deadline
        self.log = f"{LOGS}/{name}.log"
        self.pid_file = f"{PIDS}/{name}"

    def pid(self):
        """The process, or None. Its parent may be another process than this one, and not collect it yet."""
        try:
            with open(self.pid_file) as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/stat") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
            # The first thread may be gone before the others, which hold files and locks.
            threads = len(os.listdir(f"/proc/{pid}/task"))
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return None if state in "ZX" and threads <= 1 else pid

    def start(self, wait=True):
        environment = dict(os.environ)
        environment.update(
            # The slow unwinder, for stacks that go through libraries without frame pointers.
            ASAN_OPTIONS="detect_leaks=1:halt_on_error=1:fast_unwind_on_malloc=0",
            UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
            LSAN_OPTIONS=f"suppressions={HERE}/leaks.supp:print_suppressions=0",
        )
        self.notifications = self._listen(environment) if self.ready_path is None else None
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        with open(self.pid_file, "w") as file:
            file.write(str(process.pid))
        self.process = process
        if wait:
            self.wait_ready()

    def _listen(self, environment):
        path = f"{PIDS}/{self.name}.notify"
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(path)
        listener.setblocking(False)
        environment["NOTIFY_SOCKET"] = path
        return listener

    def is_ready(self):
        if self.notifications is None:
            return answers(self.ready_path)
        try:
            return b"READY=1" in self.notifications.recv(4096).split()
        except BlockingIOError:
            return False

    def wait_ready(self):
        end = time.monotonic() + self.deadline
        while not self.is_ready():
            if self.gone():
                raise RuntimeError(f"{self.name} ended instead of getting ready; its log: {self.tail()}")
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} was not ready after {self.deadline} s; its log: {self.tail()}")
            time.sleep(0.02)

    def gone(self):
        process = getattr(self, "process", None)
        if process is not None:
            process.poll()  # collects it
        return self.pid() is None

    def end(self, number, deadline=30):
        """Sends the signal and waits until the process is gone."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, number)
        end = time.monotonic() + deadline
        while not self.gone():
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not end {deadline} s after signal {number}")
            time.sleep(0.005)

    def stop(self):
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def read_log(self):
        try:
            with open(self.log, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines=30):
        return "\n".join([line for line in self.read_log().splitlines() if not NOISE.search(line)][-lines:])


virtlogd = Service("virtlogd", ["/usr/sbin/virtlogd"], "/run/libvirt/virtlogd-sock")
libvirtd = Service("libvirtd", ["/usr/sbin/libvirtd"], "/run/libvirt/libvirt-sock")
daemon = Service("vfio-profiled", ["/usr/sbin/vfio-profiled", "--verbose"])


def find_free(pid):
    """The lowest number of a descriptor that is free, or is now and then."""
    free = set()
    for _ in range(10):
        used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        free.add(min(set(range(len(used) + 1)) - used))
        time.sleep(0.03)
    return min(free)


@contextlib.contextmanager
def without_descriptors(service):
    """It keeps those that it has, and gets no other."""
    pid = service.pid()
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (find_free(pid), before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def find_alarms():
    found = []
    for service in (daemon, libvirtd):
        found += [f"{service.name}: {line}" for line in service.read_log().splitlines() if ALARMS.search(line)]
    return found


def main(mode, command):
    os.makedirs(LOGS, exist_ok=True)
    os.makedirs(PIDS, exist_ok=True)
    virtlogd.start()
    libvirtd.start()
    if mode == "daemon":
        daemon.start()
    status = subprocess.run(command).returncode
    status = 128 - status if status < 0 else status
    try:
        daemon.stop()
    except RuntimeError as error:
        print(f"# {error}", file=sys.stderr)
        status = status or 1
    alarms = find_alarms()
    if alarms:
        status = status or 1
        print("\n".join(f"# {line}" for line in alarms), file=sys.stderr)
    if status not in (0, 77):
        for service in (libvirtd, daemon):
            text = service.tail(200 if alarms else 60).replace("\n", "\n#   ")
            print(f"# the end of {service.name}'s log:\n#   {text}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
