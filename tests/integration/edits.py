# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random `--config` edits that add up, so that a lost one shows at the end.

The same list is given to a tagged domain and to an untagged twin: when the tag
goes, both definitions must be equal.
"""
import collections
import random
import shlex
import time
import xml.etree.ElementTree as ET

import libvirt

from lib import TAG_NS, check, connect, defined, definition, domain_xml, online_cpus, run, wait_ready

# More than that, and the vCPUs stay unpinned, so that the tag does not own their pins.
MAXIMUM = min(2, len(online_cpus()))


# An edit that a define of the daemon's overwrites is back some milliseconds later. Until then
# a command that builds on it fails, as it would if it came before it, and one that sets the
# value that seems to be there changes nothing. So none does so soon, and values differ.
SETTLED = 60
SETTLED_IN_A_CROWD = 5  # who repeats what failed


class Edits:
    """Makes the arguments of one virsh command after the other; knows what is there so that none fails."""

    def __init__(self, seed, client=0, clients=1):
        """Of `clients` at once each has things of its own, so that the sum is the same in whatever order they come."""
        self.random = random.Random(f"{seed}-{client}" if client else seed)
        self.count = 0
        self.client = client
        self.clients = clients
        self.settled = SETTLED if clients == 1 else SETTLED_IN_A_CROWD
        # What there is, with the number of the edit that made it so. As many disks as the controllers
        # of edited_domain() hold, so that libvirt needs no more PCI slots.
        self.free = {f"sd{letter}": -self.settled for letter in "abcdefghijklmnopqrstu"[client::clients]}
        self.disks = {}
        self.threads = {}
        self.vcpus_set = 0
        # A user's own libvirt tunes no shares.
        single = [self._memory, self._vcpus, self._shares if clients == 1 else self._text, self._title, self._pin]
        self.kinds = [self._attach_disk, self._attach_disk, self._detach_disk, self._tune_disk, self._add_thread,
                      self._delete_thread, self._metadata, self._metadata, *single[client::clients]]

    def _number(self):
        """That no other edit has, of none of them."""
        return self.count * self.clients + self.client

    def _take(self, things):
        """Takes out one that was there long enough; None: there is none."""
        settled = [name for name, number in things.items() if self.count - number >= self.settled]
        if not settled:
            return None
        name = self.random.choice(settled)
        del things[name]
        return name

    def _attach_disk(self):
        disk = self._take(self.free)
        if disk is None:
            return self._metadata()
        self.disks[disk] = self.count
        return ["attach-disk", "{}", f"/none/{self._number()}.img", disk, "--targetbus", "scsi", "--config"]

    def _detach_disk(self):
        disk = self._take(self.disks)
        if disk is None:
            return self._attach_disk()
        self.free[disk] = self.count
        return ["detach-disk", "{}", disk, "--config"]

    def _tune_disk(self):
        disk = self._take(self.disks)
        if disk is None:
            return self._attach_disk()
        self.disks[disk] = self.count
        return ["blkdeviotune", "{}", disk, "--total-iops-sec", str(self.random.randint(10, 999)), "--config"]

    def _add_thread(self):
        thread = str(self._number() + 1)
        self.threads[thread] = self.count
        return ["iothreadadd", "{}", thread, "--config"]

    def _delete_thread(self):
        thread = self._take(self.threads)
        if thread is None:
            return self._add_thread()
        return ["iothreaddel", "{}", thread, "--config"]

    def _metadata(self):
        number = self._number()
        return ["metadata", "{}", f"urn:example:{number}", "--key", f"e{number}", "--set", f"<e n='{number}'/>",
                "--config"]

    def _memory(self):
        return ["setmem", "{}", str(32768 + self.count), "--config"]

    def _vcpus(self):
        if self.count - self.vcpus_set < self.settled:
            return self._metadata()
        self.vcpus_set = self.count
        return ["setvcpus", "{}", str(self.random.randint(1, MAXIMUM)), "--maximum", "--config"]

    def _pin(self):
        # Put right again while the tag stands, the user's own when it goes. A set of CPUs, because a
        # single one may be what stands there already, and then nobody can tell that it was set again.
        return ["vcpupin", "{}", "0", "0-1", "--config"]

    def _shares(self):
        return ["schedinfo", "{}", "--config", "--set", f"cpu_shares={1000 + self.count}"]

    def _title(self):
        return ["desc", "{}", "--title", "--config", "--new-desc", f"edit {self.count}"]

    def _text(self):
        return ["desc", "{}", "--config", "--new-desc", f"text {self.count}"]

    def next(self):
        command = self.random.choice(self.kinds)()
        self.count += 1
        return command

    def take(self, number):
        return [self.next() for _ in range(number)]


def arguments(command, name):
    return [word.replace("{}", name) if word == "{}" else word for word in command]


def as_script(commands, name):
    """For `virsh < script`: one connection, as fast as it goes."""
    return "".join(shlex.join(arguments(command, name)) + "\n" for command in commands)


def edited_domain(name, profile=None, overrides=""):
    controllers = "".join(f"<controller type='scsi' index='{index}' model='virtio-scsi'/>" for index in range(3))
    return domain_xml(name, profile, overrides, vcpus=MAXIMUM, devices=controllers)


def fire(commands, name):
    """All of them through one connection, as fast as it goes."""
    result = run("virsh", "--quiet", stdin=as_script(commands, name))
    if "error:" in result.stderr:
        raise AssertionError(f"an edit failed: {result.stderr}")


def pieces(text):
    """What a definition says, as a multiset of paths with values: without order, and without what twins don't share.

    An edit that came back may stand behind one that is younger.
    """
    root = ET.fromstring(text)
    for name in ("name", "uuid"):
        root.remove(root.find(name))
    found = collections.Counter()

    def walk(element, path):
        # A device is one piece, so that its parts cannot change places with another's.
        whole = len(path) == 2
        text = ET.canonicalize(ET.tostring(element, encoding="unicode"), strip_text=True) if whole else \
            f"{sorted(element.attrib.items())} {(element.text or '').strip()}"
        found["/".join([*path, element.tag]) + " " + text] += 1
        for child in () if whole else element:
            walk(child, [*path, element.tag])

    walk(root, [])
    return found


def check_against_twin(domain, commands, seconds=10):
    """Takes the tag away; what is left must be what an untagged twin got from the same commands."""
    wait_ready(domain.name(), 30)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, None, TAG_NS, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    with defined(connect(), edited_domain("twin")) as twin:
        fire(commands, "twin")
        wanted = pieces(definition(twin))
        end = time.monotonic() + seconds
        # An edit of the last milliseconds may be on its way back yet.
        while pieces(definition(domain)) != wanted and time.monotonic() < end:
            time.sleep(0.05)
        got = pieces(definition(domain))
    check(got == wanted, "edited under the tag, against an untagged twin:\n" + "\n".join(
        [f"missing: {piece}" for piece in wanted - got] + [f"too much: {piece}" for piece in got - wanted]))
