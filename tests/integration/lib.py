# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the integration cases share: TAP, domains, libvirt, a look at QEMU.

A case is a program that runs in a sandbox (see `sandbox`) and prints TAP. It
looks at what libvirt and the kernel say; of the project it uses only what a
user has: the command line, the files, the daemon's log.
"""
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
import traceback
import xml.etree.ElementTree as ET

import libvirt

from services import daemon, libvirtd  # noqa: F401  for the cases

TAG_NS = "urn:vfio-profile:1"
STATE_NS = "urn:vfio-profile:state:1"
LOCAL_PROFILES = "/etc/vfio-profile/profiles.d"
LIMITS = "/etc/vfio-profile/vfio-profile.conf"
WRAPPERS = "/var/lib/vfio-profile/emulators"
CONFIG = "/etc/libvirt/qemu"
QEMU = "/usr/bin/qemu-system-x86_64"

# libvirt prints each error to stderr too; cases decide themselves what is worth printing.
libvirt.registerErrorHandler(lambda *_: None, None)


# --- TAP ----------------------------------------------------------------------

_tests = []


def test(description):
    """Decorator: a function that is one line of TAP. It fails by raising."""

    def add(function):
        _tests.append((description, function))
        return function

    return add


class Skip(Exception):
    """A prerequisite of this test is missing; the text says which."""


def note(text):
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", flush=True)


def main():
    only = sys.argv[1:]
    failures = 0
    print(f"1..{len(_tests)}", flush=True)
    for number, (description, function) in enumerate(_tests, 1):
        begin = time.monotonic()
        try:
            if only and function.__name__ not in only:
                raise Skip("not asked for")
            function()
        except Skip as reason:
            print(f"ok {number} - {description} # SKIP {reason}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failures += 1
            print(f"not ok {number} - {description}", flush=True)
            note(error if isinstance(error, AssertionError) else traceback.format_exc())
            if isinstance(error, AssertionError):
                frame = traceback.extract_tb(error.__traceback__)
                note("at " + ", ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in frame[1:]))
        else:
            print(f"ok {number} - {description}", flush=True)
        note(f"{time.monotonic() - begin:.2f} s")
    sys.exit(1 if failures else 0)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def check_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def wait_until(what, predicate, seconds=10.0, step=0.02):
    """Polls until the predicate gives something true, and returns that."""
    begin = time.monotonic()
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() - begin > seconds:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(step)


# --- commands -------------------------------------------------------------------


class CommandFailed(AssertionError):
    def __init__(self, command, result):
        self.result = result
        super().__init__(
            f"{shlex.join(command)} ended with {result.returncode}\n{result.stdout}{result.stderr}"
        )


def run(*command, ok=True, deadline=120, stdin=None):
    """Runs a command to its end. ok=None: any exit status; ok=False: it must fail."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=deadline, input=stdin)
    if ok is not None and (result.returncode == 0) != ok:
        raise CommandFailed(command, result)
    return result


def virsh(*arguments, ok=True, deadline=120):
    return run("virsh", "--quiet", *arguments, ok=ok, deadline=deadline)


def profile_tool(*arguments, ok=True):
    return run("vfio-profile", *arguments, ok=ok)


def plan(name):
    """`vfio-profile plan --json` of a domain, read."""
    return json.loads(profile_tool("plan", "--json", name).stdout)


def ready(name):
    return plan(name)["ready"]


def wait_ready(name, seconds=10.0):
    wait_until(f"domain '{name}' is ready", lambda: ready(name), seconds)


# --- domains --------------------------------------------------------------------


def connect():
    return libvirt.open(None)  # $LIBVIRT_DEFAULT_URI


def tag(profile, children=""):
    return f'<vfio:profile xmlns:vfio="{TAG_NS}" name="{profile}">{children}</vfio:profile>'


def domain_xml(name, profile=None, overrides="", vcpus=1, mib=64, metadata="", head="", features="",
               clock="", devices="", tail="", emulator=QEMU, machine="q35"):
    """A small guest of type qemu. `head` goes behind the memory, `tail` behind the devices."""
    inner = (tag(profile, overrides) if profile else "") + metadata
    return f"""
<domain type='qemu'>
  <name>{name}</name>
  {f'<metadata>{inner}</metadata>' if inner else ''}
  <memory unit='MiB'>{mib}</memory>
  {head}
  <vcpu placement='static'>{vcpus}</vcpu>
  <os><type arch='x86_64' machine='{machine}'>hvm</type></os>
  <features><acpi/>{features}</features>
  {clock}
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {devices}
  </devices>
  {tail}
</domain>"""


INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE


def definition(domain):
    """What libvirt keeps of a persistent domain, secrets and all."""
    return domain.XMLDesc(INACTIVE)


def without_state(text):
    """The document without what the project wrote into <metadata>, as comparable text."""
    root = ET.fromstring(text)
    metadata = root.find("metadata")
    if metadata is not None:
        for child in list(metadata):
            if child.tag.startswith(f"{{{STATE_NS}}}"):
                metadata.remove(child)
        if len(metadata) == 0:
            root.remove(metadata)
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


def without_tag(text):
    root = ET.fromstring(text)
    metadata = root.find("metadata")
    if metadata is not None:
        for child in list(metadata):
            if child.tag.startswith((f"{{{TAG_NS}}}", f"{{{STATE_NS}}}")):
                metadata.remove(child)
        if len(metadata) == 0:
            root.remove(metadata)
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


def difference(one, other):
    """For a message: where two canonical documents differ."""
    position = next((i for i, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))
    begin = max(0, position - 80)
    return f"…{one[begin:position + 160]}…\nagainst\n…{other[begin:position + 160]}…"


def without_mark(text):
    """Each define of the daemon's has another mark, also one that comes to the same."""
    return re.sub(r" write=(['\"])[0-9a-f-]{36}\1", "", text) if isinstance(text, str) else text


def check_same(got, wanted, what):
    got, wanted = without_mark(got), without_mark(wanted)
    if got != wanted:
        raise AssertionError(f"{what}: the documents differ:\n{difference(got, wanted)}")


def pins(text, element="vcpupin"):
    """{vcpu: cpuset} of a document; for emulatorpin {None: cpuset}."""
    return {pin.get("vcpu") or pin.get("iothread"): pin.get("cpuset")
            for pin in ET.fromstring(text).findall(f"cputune/{element}")}


def has(text, path):
    return ET.fromstring(text).find(path) is not None


def is_active(domain):
    """True from the moment that libvirt begins to start it."""
    return bool(domain.isActive())


def is_running(domain):
    return domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING


def stop(domain):
    """Ends a guest, if it runs. For the ends of tests."""
    with contextlib.suppress(libvirt.libvirtError):
        domain.destroy()


def remove(domain):
    stop(domain)
    with contextlib.suppress(libvirt.libvirtError):
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)


@contextlib.contextmanager
def defined(connection, xml):
    domain = connection.defineXML(xml)
    try:
        yield domain
    finally:
        remove(domain)


@contextlib.contextmanager
def without_daemon():
    daemon.stop()
    try:
        yield
    finally:
        daemon.start()


# --- the running QEMU -------------------------------------------------------------


class Qemu:
    """A running guest's process, as the kernel shows it."""

    def __init__(self, name):
        with open(f"/run/libvirt/qemu/{name}.pid") as file:
            self.pid = int(file.read())
        self.name = name

    def read(self, file):
        with open(f"/proc/{self.pid}/{file}") as stream:
            return stream.read()

    def arguments(self):
        return self.read("cmdline").rstrip("\0").split("\0")

    def executable(self):
        return os.readlink(f"/proc/{self.pid}/exe")

    def option(self, name):
        """The values of all options of that name."""
        arguments = self.arguments()
        return [arguments[i + 1] for i, word in enumerate(arguments) if word == name]

    def threads(self):
        """[(name, CPU list)] of all threads."""
        found = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            status = self.read(f"task/{task}/status")
            found.append((re.search(r"^Name:\t(.*)$", status, re.M).group(1),
                          re.search(r"^Cpus_allowed_list:\t(.*)$", status, re.M).group(1)))
        return found

    def vcpu_affinities(self):
        """{vCPU: CPU list}. QEMU with debug-threads=on calls them "CPU 0/TCG", "CPU 0/KVM"."""
        matches = [(re.match(r"CPU (\d+)/", name), cpus) for name, cpus in self.threads()]
        return {int(match.group(1)): cpus for match, cpus in matches if match}

    def hugetlb_kib(self):
        return sum(int(kib) for kib in re.findall(r"^(?:Private|Shared)_Hugetlb:\s+(\d+) kB$",
                                                  self.read("smaps_rollup"), re.M))


def started_arguments(name):
    """The command that libvirt ran, from its log of the guest: what came last there."""
    with open(f"/var/log/libvirt/qemu/{name}.log") as file:
        lines = file.read().split("starting up libvirt version:")[-1].splitlines()[1:]
    words = []
    for line in lines:
        words += shlex.split(line.rstrip("\\ "))
        if not line.endswith("\\"):
            break
    while words and "=" in words[0] and not words[0].startswith("/"):
        del words[0]  # the environment
    return words


# --- the daemon's log ---------------------------------------------------------------


class LogWatch:
    """What the daemon logged since this object was made."""

    def __init__(self):
        self.begin = len(self._read())

    @staticmethod
    def _read():
        """A user's own daemon has its log elsewhere."""
        if "DAEMON_LOG" not in os.environ:
            return daemon.read_log()
        with open(os.environ["DAEMON_LOG"], encoding="utf-8", errors="replace") as file:
            return file.read()

    def text(self):
        return self._read()[self.begin:]

    def count(self, words):
        return self.text().count(words)

    def wait_for(self, words, seconds=10.0):
        wait_until(f"the log says '{words}'", lambda: words in self.text(), seconds)


RECOVERED = "an edit that came between read and define was recovered"


def write_profile(name, text):
    os.makedirs(LOCAL_PROFILES, exist_ok=True)
    with open(f"{LOCAL_PROFILES}/{name}.conf.new", "w") as file:
        file.write(text)
    os.rename(f"{LOCAL_PROFILES}/{name}.conf.new", f"{LOCAL_PROFILES}/{name}.conf")


def write_limits(text):
    """The administrator's file."""
    with open(f"{LIMITS}.new", "w") as file:
        file.write(text)
    os.rename(f"{LIMITS}.new", LIMITS)


def seconds_of(function, *arguments):
    begin = time.monotonic()
    function(*arguments)
    return time.monotonic() - begin


# --- the machine ----------------------------------------------------------------------


def parse_cpus(text):
    """{0, 1, 4} of "0-1,4"."""
    cpus = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus |= set(range(int(first), int(last or first) + 1))
    return cpus


def online_cpus():
    with open("/sys/devices/system/cpu/online") as file:
        return parse_cpus(file.read())


def cpus_of_first_core():
    """What the host keeps for itself by default."""
    with open("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list") as file:
        return parse_cpus(file.read())


def need_cpus_beside_the_host():
    if not online_cpus() - cpus_of_first_core():
        raise Skip("needs a second core")
