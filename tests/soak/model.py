# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each domain must hold: the sum of what libvirt said is done.

A thing that a domain holds has a key, such as ("disk", "sda"), and a value. A call that ended without an answer,
because libvirtd went away, leaves its key unsure: either value is right, until the next look settles which.
"""
import contextlib
import os
import threading
import uuid
import xml.etree.ElementTree as ET

from lib import STATE_NS, TAG_NS, domain_xml, tag

IMAGES = "/run/home/images"
METADATA = "urn:soak:"
MIB = 16
DISKS = [f"sd{letter}" for letter in "abcdefghijklmnopqrst"]  # what three controllers hold
VALUES = ["title", "description", "memory"]
CONTROLLERS = "".join(f"<controller type='scsi' index='{index}' model='virtio-scsi'/>" for index in range(3))
# What a profile replaces, and what has to be back without it.
OWN_FEATURES = "<kvm><hidden state='off'/></kvm>"
PIN = "0-1"  # of vCPU 0; a set of two, which is never planned, so a profile replaces it


class Shared:
    """A lock that many may share, or one has alone. Who wants it alone keeps others from coming in."""

    def __init__(self):
        self.condition = threading.Condition()
        self.sharing = 0
        self.wanted = 0
        self.alone = False

    @contextlib.contextmanager
    def share(self, wait=True):
        """Gives False where it would have to wait and must not."""
        with self.condition:
            if not wait and (self.alone or self.wanted):
                yield False
                return
            self.condition.wait_for(lambda: not self.alone and not self.wanted)
            self.sharing += 1
        try:
            yield True
        finally:
            with self.condition:
                self.sharing -= 1
                self.condition.notify_all()

    @contextlib.contextmanager
    def have(self, wait=True):
        with self.condition:
            if not wait and (self.alone or self.wanted or self.sharing):
                yield False
                return
            self.wanted += 1
            self.condition.wait_for(lambda: not self.alone and not self.sharing)
            self.wanted -= 1
            self.alone = True
        try:
            yield True
        finally:
            with self.condition:
                self.alone = False
                self.condition.notify_all()


def key_xml(key, value):
    """A device of that key."""
    kind, name = key
    if kind == "disk":
        unit = DISKS.index(name)
        return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{value}'/>"
                f"<target dev='{name}' bus='scsi'/>"
                f"<address type='drive' controller='{unit // 7}' bus='0' target='0' unit='{unit % 7}'/></disk>")
    return (f"<interface type='user'><mac address='{name}'/><model type='{value}'/>"
            f"<address type='pci' domain='0' bus='0' slot='{16 + int(name[-2:], 16):#x}' function='0'/></interface>")


def make_image(slot, target, number):
    """So that a guest which has the disk can start."""
    os.makedirs(IMAGES, exist_ok=True)
    path = f"{IMAGES}/{slot.name}-{target}-{number % 4}.img"
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.truncate(1 << 16)
    return path


class Slot:
    """One name, whose domain comes and goes."""

    def __init__(self, number):
        self.name = f"soak-{number}"
        self.lock = Shared()  # shared by edits of keys; had alone to define, start, undefine…
        self.tag_lock = threading.Lock()
        self.history = []  # lines of the log that concern it, since the last look
        self.clear()

    def clear(self):
        self.exists = False
        self.uuid = None
        self.profile = None
        self.vcpus = 1
        self.own = False
        self.untouched = True  # never tagged, so its starts are none of ours
        self.held = {}
        self.unsure = {}

    def begin(self, random, same_uuid):
        """A new definition; the caller defines it."""
        former = self.uuid
        self.clear()
        self.uuid = former if same_uuid and former else str(uuid.UUID(int=random.getrandbits(128), version=4))
        self.vcpus = random.choice([1, 1, 2])
        self.own = random.random() < 0.5
        if self.own:
            self.held["pin", "0"] = PIN
        for target in random.sample(DISKS, random.choice([0, 0, 1, 3])):
            self.held["disk", target] = make_image(self, target, random.randrange(4))
        for number in range(random.choice([0, 1, 2])):
            self.held["metadata", f"{METADATA}{random.randrange(4)}:{number}"] = str(random.randrange(1000))

    def document(self, name=None, profile=None):
        """As a user would write it."""
        devices = CONTROLLERS + "".join(key_xml(key, value) for key, value in sorted(self.held.items())
                                        if key[0] in ("disk", "interface"))
        metadata = "".join(f"<e xmlns='{key[1]}' n='{value}'/>" for key, value in sorted(self.held.items())
                           if key[0] == "metadata")
        values = {key[1]: value for key, value in self.held.items() if key[0] == "value"}
        threads = "".join(f"<iothread id='{key[1]}'/>" for key in sorted(self.held) if key[0] == "iothread")
        head = "".join(f"<{key}>{values[key]}</{key}>" for key in ("title", "description") if key in values)
        head += f"<currentMemory unit='KiB'>{values['memory']}</currentMemory>" if "memory" in values else ""
        head += f"<iothreads>{threads.count('<')}</iothreads><iothreadids>{threads}</iothreadids>" if threads else ""
        pin = self.held.get(("pin", "0"))
        head += f"<cputune><vcpupin vcpu='0' cpuset='{pin}'/></cputune>" if pin else ""
        head += f"<uuid>{self.uuid}</uuid>" if name is None else ""
        return domain_xml(name or self.name, profile, vcpus=self.vcpus, mib=MIB, metadata=metadata, head=head,
                          features=OWN_FEATURES if self.own else "", devices=devices, machine="pc")

    def doubt(self, key, value):
        """A call without an answer: it may hold what it held, or the new value."""
        self.unsure.setdefault(key, {self.held.get(key)}).add(value)

    def settle(self, key, value):
        """What is right from now on."""
        self.unsure.pop(key, None)
        if value is None:
            self.held.pop(key, None)
        else:
            self.held[key] = value


def read_held(text):
    """{key: value} of a definition."""
    root = ET.fromstring(text)
    held = {}
    for disk in root.findall("devices/disk"):
        held["disk", disk.find("target").get("dev")] = disk.find("source").get("file")
    for interface in root.findall("devices/interface"):
        held["interface", interface.find("mac").get("address")] = interface.find("model").get("type")
    for element in root.findall("metadata/*"):
        space = element.tag[1:].partition("}")[0]
        if space.startswith(METADATA):
            held["metadata", space] = element.get("n")
    for pin in root.findall("cputune/vcpupin"):
        held["pin", pin.get("vcpu")] = pin.get("cpuset")
    for thread in root.findall("iothreadids/iothread"):
        held["iothread", thread.get("id")] = "there"
    for name, path in (("title", "title"), ("description", "description"), ("memory", "currentMemory")):
        if root.find(path) is not None:
            held["value", name] = root.findtext(path)
    if held.get(("value", "memory")) == str(MIB * 1024):
        del held["value", "memory"]  # what libvirt writes by itself
    return held


def has_tag(text):
    return ET.fromstring(text).find(f"metadata/{{{TAG_NS}}}profile") is not None


def has_state(text):
    return f"'{STATE_NS}'" in text.replace('"', "'")


def tag_element(profile):
    return tag(profile).replace("vfio:profile xmlns:vfio=", "profile xmlns=").replace("</vfio:profile>", "</profile>")
