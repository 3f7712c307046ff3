# SPDX-License-Identifier: LGPL-2.1-or-later
"""A broken host, a full disk, broken files: clear errors, and no definition suffers."""
import contextlib
import os

import libvirt

from services import without_descriptors
from lib import (LOCAL_PROFILES, STATE_NS, TAG_NS, WRAPPERS, LogWatch, check, check_equal, connect, daemon, defined,
                 definition, domain_xml, main, note, pins, profile_tool, ready, run, test, virsh, wait_ready,
                 wait_until, write_profile)

STATE = "/var/lib/vfio-profile"
CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><alias name='ua-card-x-vga'/>
<source><address domain='0x0' bus='0x65' slot='0x0' function='0x0'/></source></hostdev>"""

connection = connect()


@contextlib.contextmanager
def mounted(path, *options):
    run("mount", *options, path)
    try:
        yield
    finally:
        run("umount", "-l", path)


def nothing():
    pass


@contextlib.contextmanager
def daemon_with(path, *options, before=nothing, behind=nothing):
    """The daemon runs while that is mounted, and without it afterwards. More may be done `before` and `behind`."""
    daemon.stop()
    try:
        before()
        with mounted(path, *options):
            behind()
            daemon.start()
            try:
                yield
            finally:
                daemon.stop()
    finally:
        daemon.start()


def check_no_card(words):
    """A domain that needs a wrapper which cannot be written: an error with these words; the rest works."""
    log = LogWatch()
    with defined(connection, domain_xml("card", "pinned vga", machine="pc", devices=CARD)) as domain:
        before = definition(domain)
        log.wait_for("'card'")
        wait_until(f"the log says '{words}'", lambda: words in log.text(), 5)
        note([line for line in log.text().splitlines() if words in line][0])
        check_equal(definition(domain), before, "the definition")
        with defined(connection, domain_xml("fine", "pinned")) as fine:
            wait_ready("fine")
            fine.create()
        check_equal(definition(domain), before, "the definition")


def drop_wrappers():
    for name in os.listdir(WRAPPERS):
        os.unlink(f"{WRAPPERS}/{name}")


def fill_state():
    with contextlib.suppress(OSError), open(f"{STATE}/filler", "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@test("the state folder read-only")
def read_only():
    with daemon_with(STATE, "--bind", "-o", "ro", STATE, before=drop_wrappers):
        check_no_card("Read-only file system")
    with defined(connection, domain_xml("card", "pinned vga", machine="pc", devices=CARD)):
        wait_ready("card")


@test("the state folder on a full disk")
def full():
    with daemon_with(STATE, "-t", "tmpfs", "-o", "size=64k,mode=0755", "tmpfs", behind=fill_state):
        check_no_card("No space left on device")
        check(not [name for name in os.listdir(WRAPPERS) if not name.startswith(".")], "half a wrapper was left")


@test("the state folder on a disk that was full: prepared once it is not, though nobody touches the domain")
def full_no_more():
    with daemon_with(STATE, "-t", "tmpfs", "-o", "size=64k,mode=0755", "tmpfs", behind=fill_state):
        log = LogWatch()
        with defined(connection, domain_xml("card", "pinned vga", machine="pc", devices=CARD)):
            log.wait_for("No space left on device")
            check(not ready("card"), "it is prepared")
            os.unlink(f"{STATE}/filler")
            wait_ready("card")


@test("no descriptor left: nothing is written, for no edit could be read; prepared once there are some")
def no_descriptors():
    log = LogWatch()
    with defined(connection, domain_xml("waits")) as domain:
        with without_descriptors(daemon):
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<profile name='pinned'/>", "vfio", TAG_NS,
                               libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            log.wait_for("domain 'waits': not prepared: ")
            check("Too many open files" in log.text(), "the reason is not said")
            check(STATE_NS not in definition(domain), "it was written")
        wait_ready("waits")


def check_refused(domain, *words):
    try:
        domain.create()
    except libvirt.libvirtError as error:
        message = error.get_error_message()
        check(all(word in message for word in words), f"the refusal does not say {words}: {message}")
        note(message[message.index("vfio-profile:"):].strip())
    else:
        raise AssertionError("it was started")


def says_broken(log, words):
    """Of this break: the last one may still be said of a domain."""
    lines = log.text().splitlines()
    return any("profile 'mine' is broken" in line and all(word in line for word in words) for line in lines)


@test("a profile broken while a domain uses it: named with file and reason, the definition stays")
def broken_profile():
    write_profile("mine", "[cpu]\npin=yes\n")
    with defined(connection, domain_xml("user", "mine")) as domain, defined(connection, domain_xml("other", "pinned")):
        wait_ready("user")
        wait_ready("other")
        before = definition(domain)
        for text, words in (("[cpu]\npin=perhaps\n", ("perhaps", "required")),
                            ("no key file", ("mine.conf", "no key file")),
                            ("[cpu]\npins=yes\n", ("pins", "reserve-cores"))):
            log = LogWatch()
            write_profile("mine", text)
            wait_until(f"the log says that it is broken, with {words}", lambda: says_broken(log, words), 5)
            check_refused(domain, *words)
            check_equal(definition(domain), before, "the definition")
            check(ready("other"), "another domain suffers")
        result = profile_tool("plan", "user", ok=False)
        check("reserve-cores" in result.stderr, f"the command line does not say what is allowed: {result.stderr}")
        write_profile("mine", "[cpu]\npin=yes\n")
        wait_until("it is ready again", lambda: run("vfio-profile", "plan", "--json", "user", ok=None).returncode == 0
                   and ready("user"), 5)
        wait_until("it starts", lambda: virsh("start", "user", ok=None).returncode == 0, 5)


@test("a profile file that appears, changes and goes: domains follow")
def edited_profile():
    with defined(connection, domain_xml("user", "mine")) as domain:
        os.unlink(f"{LOCAL_PROFILES}/mine.conf")
        wait_until("without its profile it is an error",
                   lambda: profile_tool("plan", "user", ok=None).returncode == 1, 5)
        write_profile("mine", "[cpu]\npin=yes\n")
        wait_until("it is pinned", lambda: pins(definition(domain)), 5)
        write_profile("mine", "[memory]\nnosharepages=yes\n")
        wait_until("the pins went with the profile's key", lambda: not pins(definition(domain)), 5)
    os.unlink(f"{LOCAL_PROFILES}/mine.conf")


@test("the profiles' folder unreadable as a folder: what was read before holds")
def no_profiles():
    with defined(connection, domain_xml("user", "pinned")) as domain:
        wait_ready("user")
        before = definition(domain)
        with daemon_with("/usr/share/vfio-profile/profiles.d", "-t", "tmpfs", "tmpfs"):
            check_refused(domain, "pinned")
            check_equal(definition(domain), before, "the definition")
        wait_ready("user")
        domain.create()


@test("the topology unreadable: tagged starts are decided, definitions stay")
def no_topology():
    with defined(connection, domain_xml("user", "pinned")) as domain:
        wait_ready("user")
        before = definition(domain)
        with daemon_with("/sys/devices/system", "-t", "tmpfs", "tmpfs"):
            check_refused(domain, "/sys/devices/system/cpu")
            check_equal(definition(domain), before, "the definition")
        wait_ready("user")
        domain.create()


@test("state in the metadata damaged by hand: an error that says so, the definition stays")
def damaged_state():
    with defined(connection, domain_xml("user", "pinned")) as domain:
        wait_ready("user")
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<state><rubbish/></state>", "s", STATE_NS,
                           libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        text = definition(domain)
        result = profile_tool("plan", "user", ok=False)
        note(result.stderr.strip())
        check_equal(definition(domain), text, "the definition")


main()
