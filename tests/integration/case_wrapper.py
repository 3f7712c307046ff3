# SPDX-License-Identifier: LGPL-2.1-or-later
"""A domain whose <emulator> is a generated wrapper runs the real QEMU, with libvirt's own arguments.

There is no card here to assign. The wrapper is generated for a definition that
came from a host with one: its device carries the mark already.
"""
import os
import re
import stat
import xml.etree.ElementTree as ET

from lib import (QEMU, WRAPPERS, Qemu, check, check_equal, connect, daemon, defined, definition, domain_xml,
                 main, note, profile_tool, run, started_arguments, test, wait_ready, wait_until)

CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><alias name='ua-card-x-vga'/>
<source><address domain='0x0' bus='0x65' slot='0x0' function='0x0'/></source></hostdev>"""

connection = connect()


def emulator_of(domain):
    return ET.fromstring(definition(domain)).findtext("devices/emulator")


def generate():
    with defined(connection, domain_xml("card", "pinned vga", machine="pc", devices=CARD)) as domain:
        wait_ready("card")
        return emulator_of(domain)


@test("the wrapper is root's own file, executable, and outlives the domain")
def generated():
    wrapper = generate()
    check_equal(os.path.dirname(wrapper), WRAPPERS, "its folder")
    info = os.stat(wrapper)
    check_equal((info.st_uid, info.st_gid), (0, 0), "its owner")
    check_equal(stat.S_IMODE(info.st_mode) & 0o7022, 0, "bits of its mode that must not be set")
    check(os.access(wrapper, os.X_OK), "it is not executable")


@test("a domain starts through it: the running binary is QEMU, the arguments are libvirt's")
def started():
    wrapper = generate()
    image = '/var/lib/libvirt/a, b "c".img'  # what a shell and QEMU's comma form would trip over
    devices = f"<disk type='file'><source file='{image}'/><target dev='vda' bus='virtio'/></disk>"
    with open(image, "wb") as file:
        file.truncate(1 << 20)
    with defined(connection, domain_xml("wrapped", devices=devices, emulator=wrapper)) as domain:
        domain.create()
        qemu = Qemu("wrapped")
        check_equal(os.path.realpath(qemu.executable()), os.path.realpath(QEMU), "the running binary")
        wanted = started_arguments("wrapped")
        check_equal(wanted[0], wrapper, "the program that libvirt ran")
        check_equal(qemu.arguments()[1:], wanted[1:], "the arguments of the running QEMU")
        check(len(wanted) > 30, "hardly any arguments")


@test("the wrapper passes libvirt's capability probe: the capabilities are the real QEMU's")
def capabilities():
    wrapper = generate()
    texts = [re.sub(r"<path>.*?</path>", "", connection.getDomainCapabilities(path, None, None, "qemu"))
             for path in (QEMU, wrapper)]
    check_equal(texts[1], texts[0], "domain capabilities")


@test("when the real QEMU changes, its wrapper does, so that libvirt asks anew")
def upgraded():
    with defined(connection, domain_xml("card", "pinned vga", machine="pc", devices=CARD)) as domain:
        wait_ready("card")
        wrapper = emulator_of(domain)
        before = os.stat(wrapper).st_ctime_ns
        run("touch", QEMU)
        wait_until("the wrapper was made anew", lambda: os.stat(wrapper).st_ctime_ns != before, 15)


@test("a wrapper that others can write is refused, in one line")
def writable():
    wrapper = generate()
    os.chmod(wrapper, 0o777)
    try:
        result = run(wrapper, "-version", ok=False)
        check_equal((result.returncode, result.stderr.count("\n")), (126, 1), "status and lines on stderr")
        note(result.stderr.strip())
    finally:
        os.chmod(wrapper, 0o755)
    check("QEMU emulator version" in run(wrapper, "-version").stdout, "it does not run QEMU")


@test("a wrapper that was deleted comes back while a definition names it")
def deleted():
    with defined(connection, domain_xml("card", "pinned vga", machine="pc", devices=CARD)) as domain:
        wait_ready("card")
        wrapper = emulator_of(domain)
        os.unlink(wrapper)
        daemon.restart()
        wait_until("the wrapper is back", lambda: os.path.exists(wrapper), 10)
        profile_tool("unset", "card")
        wait_until("the emulator is QEMU again", lambda: emulator_of(domain) == QEMU, 10)


main()
