# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client: a connection of its own, and random steps on domains that it shares with the others.

Each has keys that no other changes, so that the sum of all edits is known whatever the order.
"""
import os
import random
import re
import subprocess
import threading
import time

import libvirt

from lib import INACTIVE, TAG_NS, run
from model import DISKS, METADATA, PIN, VALUES, has_tag, key_xml, make_image, tag_element

CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
# What the daemon overwrote is back a moment later, or at its next start: as long a step that builds on it is repeated.
PATIENCE = 30
PATIENCE_WITH_COMMANDS = 120  # which wait themselves, for half a minute
MOST_RUNNING = 4
SAVED = "/run/home/saved"
UNDEFINE = (libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM |
            libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)


class Lost(Exception):
    """libvirtd went away amid a call."""


class Refused(Exception):
    """A step that had to succeed did not."""


class Client(threading.Thread):
    def __init__(self, number, soak):
        super().__init__(name=f"client-{number}", daemon=True)
        self.number = number
        self.soak = soak
        self.random = random.Random(f"{soak.seed}-{number}")
        self.connection = None
        self.count = 0
        self.disks = DISKS[number * 5:number * 5 + 5]
        self.shared = {self.disk: 26, self.interface: 8, self.metadata: 20, self.value: 12, self.iothread: 6,
                       self.burst: 12, self.aimed: 30, self.tag: 8}
        self.alone = {self.define: 10, self.redefine: 3, self.edit: 5, self.undefine: 2, self.anew: 4, self.power_on: 7,
                      self.power_off: 5, self.save: 3, self.save_file: 1}
        self.steps = {**self.shared, **self.alone}

    # --- asking libvirt -------------------------------------------------------

    def connect(self):
        while not self.soak.ending.is_set():
            try:
                self.connection = libvirt.open("qemu:///system")
                return
            except libvirt.libvirtError:
                time.sleep(0.1)

    def ask(self, function, *arguments):
        """A call; Lost where there was no answer."""
        try:
            return function(*arguments)
        except libvirt.libvirtError as error:
            gone = (libvirt.VIR_ERR_RPC, libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN)
            if error.get_error_code() in gone or error.get_error_domain() == libvirt.VIR_FROM_RPC or \
                    not self.connection.isAlive():
                raise Lost from error
            raise

    def domain(self, slot):
        return self.ask(self.connection.lookupByName, slot.name)

    def insist(self, slot, what, function):
        """Until it succeeds: what stands now may be an earlier version for a moment."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return function()
            except libvirt.libvirtError as error:
                if time.monotonic() > end:
                    raise Refused(f"{what} of {slot.name}: {error.get_error_message()}") from error
                self.soak.note(self, slot, f"again: {what}: {error.get_error_message()}")
                self.soak.add("repeated")
                time.sleep(0.1)

    def change(self, slot, key, value, function):
        """An edit of one key: None takes it away."""
        words = f"{'-' if value is None else '+'}{key[0]} {key[1]} {value or ''}"
        try:
            self.insist(slot, words, lambda: self.ask(function, self.domain(slot)))
        except Lost:
            slot.doubt(key, value)
            self.soak.note(self, slot, f"{words}: no answer")
            raise
        slot.settle(key, value)
        self.soak.note(self, slot, words)

    # --- steps that share a domain ---------------------------------------------

    def disk(self, slot):
        key = "disk", self.random.choice(self.disks)
        if key in slot.unsure:
            return
        if key in slot.held:
            text = key_xml(key, slot.held[key])
            self.change(slot, key, None, lambda domain: domain.detachDeviceFlags(text, CONFIG))
        else:
            path = make_image(slot, key[1], self.count)
            text = key_xml(key, path)
            self.change(slot, key, path, lambda domain: domain.attachDeviceFlags(text, CONFIG))

    def interface(self, slot):
        key = "interface", f"52:54:00:00:00:{self.number * 2 + self.random.randrange(2):02x}"
        if key in slot.unsure:
            return
        if key in slot.held:
            text = key_xml(key, slot.held[key])
            self.change(slot, key, None, lambda domain: domain.detachDeviceFlags(text, CONFIG))
        else:
            model = self.random.choice(["virtio", "e1000"])
            text = key_xml(key, model)
            self.change(slot, key, model, lambda domain: domain.attachDeviceFlags(text, CONFIG))

    def metadata(self, slot):
        key = "metadata", f"{METADATA}{self.number}:{self.random.randrange(8)}"
        if key in slot.unsure:
            return
        value = None if key in slot.held and self.random.random() < 0.3 else str(self.count)
        text, prefix = (f"<e n='{value}'/>", f"e{key[1].rpartition(':')[2]}") if value else (None, None)
        self.change(slot, key, value, lambda domain: domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, prefix, key[1], CONFIG))

    def value(self, slot):
        if self.number >= len(VALUES):
            return self.metadata(slot)
        name = VALUES[self.number]
        key = "value", name
        if key in slot.unsure:
            return
        kinds = {"title": libvirt.VIR_DOMAIN_METADATA_TITLE, "description": libvirt.VIR_DOMAIN_METADATA_DESCRIPTION}
        number = 8192 + self.count % 8000
        if name in kinds:
            text = f"edit {self.count}"
            self.change(slot, key, text, lambda domain: domain.setMetadata(kinds[name], text, None, None, CONFIG))
        else:
            self.change(slot, key, str(number), lambda domain: domain.setMemoryFlags(number, CONFIG))

    def iothread(self, slot):
        number = self.number * 3 + self.random.randrange(3) + 1
        key = "iothread", str(number)
        if key in slot.unsure:
            return
        if key in slot.held:
            self.change(slot, key, None, lambda domain: domain.delIOThread(number, CONFIG))
        else:
            self.change(slot, key, "there", lambda domain: domain.addIOThread(number, CONFIG))

    def burst(self, slot):
        for _ in range(8):
            self.random.choice([self.disk, self.metadata, self.interface, self.iothread])(slot)
            self.count += 1

    def provoke(self, slot, longest=0.006):
        """An edit that the daemon puts right at once, so that what follows comes just then."""
        both = (True, True) + (False,) * (os.cpu_count() - 2)
        if ("pin", "0") not in slot.unsure:
            self.change(slot, ("pin", "0"), PIN, lambda domain: domain.pinVcpuFlags(0, both, CONFIG))
        time.sleep(self.random.uniform(0, longest))

    def aimed(self, slot):
        self.provoke(slot)
        for _ in range(self.random.choice([1, 2, 4])):
            self.random.choice([self.disk, self.metadata, self.interface, self.iothread])(slot)
            self.count += 1

    def tag(self, slot):
        """Set and unset, as a user does or as a program does."""
        if not slot.tag_lock.acquire(blocking=False):
            return
        try:
            profile = None if slot.profile else self.random.choice(self.soak.profiles)
            slot.untouched = False
            if self.random.random() < self.soak.by_command:
                self.tag_by_command(slot, profile)
            else:
                text = tag_element(profile) if profile else None
                # Who has no answer asks again: it comes to the same.
                self.insist_through(slot, f"tag {profile}", lambda: self.domain(slot).setMetadata(
                    libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, "vfio" if profile else None, TAG_NS, CONFIG))
            slot.profile = profile
            self.soak.note(self, slot, f"tag {profile}")
        finally:
            slot.tag_lock.release()

    def insist_through(self, slot, what, function):
        while True:
            try:
                return self.insist(slot, what, lambda: self.ask(function))
            except Lost:
                self.connect()

    def tag_by_command(self, slot, profile):
        words = ["vfio-profile", "set", slot.name, profile] if profile else ["vfio-profile", "unset", slot.name]
        end = time.monotonic() + PATIENCE_WITH_COMMANDS
        while True:
            try:
                result = run(*words, ok=None, deadline=PATIENCE_WITH_COMMANDS)
            except subprocess.TimeoutExpired as error:
                raise Refused(f"{' '.join(words)} did not end") from error
            if result.returncode == 0:
                return
            self.soak.note(self, slot, f"again: {' '.join(words)}: {result.stderr.strip()}")
            if time.monotonic() > end:
                raise Refused(f"{' '.join(words)}: {result.stderr.strip()}")
            time.sleep(0.2)

    # --- steps that have a domain alone ------------------------------------------

    def define(self, slot):
        if slot.exists:
            return
        self.write_new(slot, same_uuid=False)

    def write_new(self, slot, same_uuid):
        slot.begin(self.random, same_uuid)
        profile = self.random.choice([None, *self.soak.profiles])
        slot.profile, slot.untouched = profile, profile is None
        self.insist(slot, "define", lambda: self.ask(self.connection.defineXML, slot.document(profile=profile)))
        slot.exists = True
        self.soak.note(self, slot, f"define {slot.uuid} {profile} {sorted(slot.held)}")

    def redefine(self, slot):
        """A whole new definition in the place of the old one."""
        if slot.exists and not slot.unsure:
            self.provoke(slot)
            was_tagged = not slot.untouched
            self.write_new(slot, same_uuid=True)
            slot.untouched = slot.untouched and not was_tagged

    def edit(self, slot):
        """As 'virsh edit' does: read, change, look whether it is what was read, define."""
        if not slot.exists:
            return
        key = "metadata", f"{METADATA}{self.number}:edit"
        if key in slot.unsure:
            return
        self.provoke(slot)
        text = former = self.insist(slot, "read", lambda: self.domain(slot).XMLDesc(INACTIVE))
        if has_tag(text) != bool(slot.profile):
            return  # amid a recovery: whoever writes this takes the tag away, or puts it back
        text = "".join(line for line in text.splitlines(True) if f"e{self.number}e:" not in line)
        value = str(self.count)
        line = f"<e{self.number}e:e xmlns:e{self.number}e=\"{key[1]}\" n=\"{value}\"/>\n"
        text = re.sub(r" *<metadata/>\n", "", text)  # what libvirt leaves of one whose last element went
        if "<metadata>" in text:
            text = text.replace("<metadata>", f"<metadata>{line}", 1)
        else:
            text = text.replace("<memory ", f"<metadata>{line}</metadata><memory ", 1)
        if self.ask(self.domain(slot).XMLDesc, INACTIVE) == former:
            self.change(slot, key, value, lambda _: self.connection.defineXML(text))

    def undefine(self, slot):
        if not slot.exists:
            return
        self.take_away(slot)
        self.soak.note(self, slot, "undefine")

    def take_away(self, slot):
        self.quiet(self.domain(slot).destroy)
        self.provoke(slot, 0.012)
        self.insist(slot, "undefine", lambda: self.ask(self.domain(slot).undefineFlags, UNDEFINE))
        former = slot.uuid
        slot.clear()
        slot.uuid = former
        self.quiet(lambda: self.connection.lookupByName(slot.name).destroy())

    def anew(self, slot):
        """Undefined and defined at once, as Terraform does; with the same UUID, or with another."""
        if not slot.exists:
            return
        self.take_away(slot)
        time.sleep(self.random.choice([0, 0, self.random.uniform(0, 0.01)]))
        self.write_new(slot, same_uuid=self.random.random() < 0.5)

    def quiet(self, function):
        try:
            self.ask(function)
        except libvirt.libvirtError:
            pass

    def power_on(self, slot):
        if not slot.exists or len(self.ask(self.connection.listDomainsID)) >= MOST_RUNNING:
            return
        paused = self.random.choice([0, libvirt.VIR_DOMAIN_START_PAUSED])
        try:
            self.ask(self.domain(slot).createWithFlags, paused)
            self.soak.note(self, slot, "start")
            self.soak.add("started")
        except libvirt.libvirtError as error:
            words = error.get_error_message()
            if error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID:  # it runs
                return
            self.soak.note(self, slot, f"start: {words}")
            self.soak.add("starts refused")
            if slot.untouched:
                raise Refused(f"a start of {slot.name}, which never had a tag: {words}") from error

    def power_off(self, slot):
        if slot.exists:
            self.quiet(self.domain(slot).destroy)
            self.soak.note(self, slot, "stop")

    def save(self, slot):
        """A managed save; the next start restores it."""
        if not slot.exists or not self.ask(self.domain(slot).isActive):
            return
        self.quiet(lambda: self.domain(slot).managedSave(0))
        self.soak.note(self, slot, "managed save")

    def save_file(self, slot):
        if not slot.exists or not self.ask(self.domain(slot).isActive):
            return
        path = f"{SAVED}/{slot.name}"
        os.makedirs(SAVED, exist_ok=True)
        try:
            self.ask(self.domain(slot).save, path)
            time.sleep(self.random.uniform(0, 1))
            self.ask(self.connection.restore, path)
            self.soak.note(self, slot, "saved and restored")
        except libvirt.libvirtError as error:
            self.soak.note(self, slot, f"saved and restored: {error.get_error_message()}")

    # --- the loop ---------------------------------------------------------------

    def step(self):
        kinds, weights = zip(*self.steps.items())
        kind = self.random.choices(kinds, weights)[0]
        slot = self.random.choice(self.soak.slots)
        self.count += 1
        self.soak.add(kind.__name__)
        if kind in self.shared:
            with slot.lock.share(wait=False) as mine:
                if mine and slot.exists:
                    kind(slot)
            return
        with self.soak.whole.share(), slot.lock.have(wait=False) as mine:
            self.ask(self.connection.getLibVersion)  # the connection may be one to a libvirtd that is gone
            if mine:
                kind(slot)

    def run(self):
        self.connect()
        while not self.soak.ending.is_set():
            try:
                with self.soak.world.share():
                    self.step()
            except Lost:
                self.connect()
            except Exception as error:  # pylint: disable=broad-except
                self.soak.fault(error)
            time.sleep(min(1, self.random.expovariate(1 / self.soak.pause)))
