# SPDX-License-Identifier: LGPL-2.1-or-later
"""The look: everybody waits, and each domain is compared with what it must hold."""
import contextlib
import os
import re
import time

import libvirt

from edits import pieces
from faults import HOLDS, STATE
from lib import RECOVERED, check, check_equal, definition, ready, remove, run, without_tag
from model import has_state, has_tag, read_held

SECONDS = 40  # until all is settled, after the last fault
POOLS = "/sys/kernel/mm/hugepages"
# What a recovery says that it put back: the things that clients edit here.
THING = re.compile(r"(disk 'sd[a-t]'|interface '52:54:00:00:00:\w\w'|e 'urn:soak:\d:\w+'|title|description|"
                   r"currentMemory|iothreads|iothread '\d+'|vcpu|vcpupin '\d+'|iothreadpin|emulatorpin|hidden|kvm|profile '[^']*'|state '[^']*') "
                   r"(added|changed|removed)|the order of elements|it was defined anew|and \d+ more")


def pools(beside):
    """{size: pages} of the kernel; none where others take of them too."""
    found = {}
    if beside:
        return found
    for size in sorted(os.listdir(POOLS)):
        with open(f"{POOLS}/{size}/nr_hugepages") as file:
            found[size] = int(file.read())
    return found


def open_intents():
    with contextlib.suppress(FileNotFoundError):
        folder = f"{STATE}/intents"
        return [name for name in os.listdir(folder)
                if name.startswith("d-") and "intent" in os.listdir(f"{folder}/{name}")]
    return []


def undone(text):
    return without_tag(run("vfio-profile", "rewrite", "--undo", stdin=text).stdout)


def find_difference(slot, held):
    lines = [f"lost: {key} {value}" for key, value in slot.held.items() if key not in held and key not in slot.unsure]
    lines += [f"came back: {key} {value}" for key, value in held.items()
              if key not in slot.held and key not in slot.unsure]
    lines += [f"changed: {key} {value}, and it should be {slot.held[key]}" for key, value in held.items()
              if key in slot.held and key not in slot.unsure and value != slot.held[key]]
    lines += [f"unsure: {key} {held.get(key)}, and it should be one of {values}" for key, values in slot.unsure.items()
              if held.get(key) not in values]
    return lines


def find_unsettled(connection, slot):
    """What is not as it must be; empty: all is."""
    try:
        domain = connection.lookupByName(slot.name)
    except libvirt.libvirtError:
        return ["undefined, and nobody did that"] if slot.exists else []
    if not domain.isPersistent():
        return [f"transient: {slot.exists}"] if slot.exists else []
    if not slot.exists:
        return ["it was undefined, and is there again"]
    text = definition(domain)
    lines = find_difference(slot, read_held(undone(text)))
    if has_tag(text) != bool(slot.profile):
        lines.append(f"the tag should be {slot.profile}")
    if slot.profile and not lines and not (has_state(text) and ready(slot.name)):
        lines.append(f"tagged {slot.profile}, and not prepared")
    if not slot.profile and has_state(text):
        lines.append("no tag, but our state is there")
    return lines


def compare_with_twin(connection, slot):
    """Without tag and state it is what libvirt makes of the user's own document."""
    text = definition(connection.lookupByName(slot.name))
    for key in slot.unsure:
        slot.held.pop(key, None)
    slot.held.update({key: value for key, value in read_held(undone(text)).items() if key in slot.unsure})
    slot.unsure.clear()
    twin = connection.defineXML(slot.document(name="twin"))
    wanted = pieces(definition(twin))
    twin.undefine()
    got = pieces(undone(text))
    return [f"missing: {piece}" for piece in wanted - got] + [f"too much: {piece}" for piece in got - wanted]


def wait_settled(connection, slot, end):
    lines = find_unsettled(connection, slot)
    while lines and time.monotonic() < end:
        time.sleep(0.1)
        lines = find_unsettled(connection, slot)
    return lines


def look_at(connection, slot, end):
    """The lines that tell what is wrong with it."""
    lines = wait_settled(connection, slot, end)
    if not lines and slot.exists:
        lines = compare_with_twin(connection, slot)
    return lines


def start_some(connection, slots):
    """With nothing else going on, whoever is tagged starts."""
    for slot in slots:
        domain = connection.lookupByName(slot.name)
        if not domain.isActive():
            domain.create()
        check(domain.isActive(), f"{slot.name} does not run")
        domain.destroy()


def check_log(text):
    """Each recovery says what it put back."""
    for line in text.splitlines():
        if RECOVERED in line:
            words = line.partition(f"{RECOVERED}: ")[2]
            check(words and all(THING.fullmatch(word) for word in words.split(", ")), f"what was put back? {line}")


def check_end(connection, slots, beside, before):
    """All are gone: nothing is held any more."""
    for slot in slots:
        with contextlib.suppress(libvirt.libvirtError):
            remove(connection.lookupByName(slot.name))
    end = time.monotonic() + SECONDS
    while (os.listdir(HOLDS) or open_intents() or pools(beside) != before) and time.monotonic() < end:
        time.sleep(0.1)
    check_equal(os.listdir(HOLDS), [], "guests in the journal that are gone")
    check_equal(open_intents(), [], "intents that are open")
    check_equal(pools(beside), before, "the kernel's hugepages")
