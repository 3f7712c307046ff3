# SPDX-License-Identifier: LGPL-2.1-or-later
"""devices.trim on a real libvirt: what goes stays gone, QEMU has none of it, and undo gives back libvirt's own form."""
import contextlib

from lib import (LogWatch, Qemu, check, check_equal, check_same, connect, daemon, defined, definition, domain_xml, has,
                 is_running, main, note, plan, profile_tool, ready, stop, test, wait_ready, wait_until, without_tag,
                 write_profile)

USB = "<controller type='usb' model='qemu-xhci'/>"
AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
SERIAL = "<serial type='pty'/><console type='pty'/>"
VIRT_MANAGER = USB + AGENT + SERIAL + """
<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
<channel type='spiceport'><source channel='org.spice-space.webdav.0'/>
<target type='virtio' name='org.spice-space.webdav.0'/></channel>
<input type='tablet' bus='usb'/><input type='keyboard' bus='usb'/>
<graphics type='spice' autoport='yes'><listen type='address'/><image compression='off'/></graphics>
<sound model='ich9'/><video><model type='qxl'/></video>
<redirdev bus='usb' type='spicevmc'/><redirdev bus='usb' type='spicevmc'/>
<redirfilter><usbdev allow='yes'/></redirfilter>
<smartcard mode='passthrough' type='spicevmc'/>"""
# As libvirt and its clients make them: name -> devices, machine, <graphics> that stay.
DEFINITIONS = {
    "virt-manager": (VIRT_MANAGER, "q35", 0),
    "i440fx": (VIRT_MANAGER, "pc", 0),
    "vnc": (USB + SERIAL + "<input type='tablet' bus='usb'/><graphics type='vnc' port='-1'/>"
            "<video><model type='cirrus'/></video><sound model='ac97'/>", "pc", 0),
    "several": (USB + "<input type='tablet' bus='virtio'/><input type='tablet' bus='usb'/><graphics type='spice' "
                "autoport='yes'/><graphics type='vnc' port='-1'/><video><model type='qxl'/></video>"
                "<video><model type='qxl'/></video><video><model type='qxl'/></video>", "q35", 0),
    "virtio-vga": (USB + "<input type='tablet' bus='usb'/><graphics type='egl-headless'/><graphics type='vnc' "
                   "port='-1'/><video><model type='virtio'/></video>", "q35", 0),
    "looking-glass": (VIRT_MANAGER + "<shmem name='looking-glass'><model type='ivshmem-plain'/>"
                      "<size unit='M'>32</size></shmem>", "q35", 1),
    "password": (USB + "<input type='tablet' bus='usb'/><graphics type='vnc' port='-1' passwd='geheim'/>"
                 "<video><model type='cirrus'/></video>", "q35", 1),
    "headless": (SERIAL, "q35", 0),
}
SPICE = ("ich9-intel-hda", "intel-hda", "usb-redir", "spicevmc", "spiceport", "ccid-card")
EMULATED = ("qxl", "VGA", "cirrus", "tablet", "AC97") + SPICE

connection = connect()
write_profile("trimmed", "[devices]\ntrim = yes\n")
daemon.restart()  # it need not wait until it notices a folder that was not there


@contextlib.contextmanager
def made(name, **settings):
    """Without the project's hands in it; the text is what libvirt makes of it, of its own text in the end."""
    devices, machine, _ = DEFINITIONS[name]
    text = domain_xml(name, devices=devices, machine=machine, **settings)
    if USB in devices:
        text = text.replace("<controller type='usb' model='none'/>", "")
    with defined(connection, text) as domain:
        connection.defineXML(definition(domain))
        yield domain, definition(domain)


def check_trimmed(domain, graphics):
    text = definition(domain)
    check(not has(text, "devices/input[@type='tablet']"), "a tablet is left")
    check_equal(has(text, "devices/graphics"), bool(graphics), "whether <graphics> is left")
    if not graphics:
        for path in ("video", "sound", "channel[@type='spicevmc']", "redirdev", "smartcard", "audio[@type='spice']"):
            check(not has(text, f"devices/{path}"), f"{path} is left")
    check(not has(text, "devices/video") or has(text, "devices/video/model[@type='none']"), "a <video> is left")
    check("geheim" not in domain.XMLDesc(0), "a password is where everybody reads it")


def check_qemu(name, graphics):
    """The process has nothing of what was removed, and the rest."""
    line = " ".join(Qemu(name).arguments())
    for word in EMULATED:
        if not (graphics and word in SPICE):
            check(f'"driver":"{word}' not in line and f",{word}" not in line and f"-{word}" not in line,
                  f"QEMU has {word}: {line}")
    check_equal(" -spice " in line or " -vnc " in line, bool(graphics), "whether QEMU serves a display")


def whole_way(name):
    graphics = DEFINITIONS[name][2]
    with made(name) as (domain, before):
        profile_tool("set", name, "trimmed")
        wait_ready(name)
        check_trimmed(domain, graphics)
        note(f"{name}: {len(plan(name)['warnings'])} warnings")
        log = LogWatch()
        connection.defineXML(definition(domain))
        wait_until("it is looked at", lambda: ready(name))
        check_equal(log.count("prepared"), 0, "writes of a definition that is ready")
        domain.create()
        wait_until("it runs", lambda: is_running(domain))
        check_qemu(name, graphics)
        stop(domain)
        profile_tool("unset", name)
        wait_until("the tag is gone", lambda: not has(definition(domain), "metadata/*"))
        # libvirt leaves the empty element where a tag is all that was there to be taken away.
        check_same(definition(domain).replace("  <metadata/>\n", ""), before, "after undo")


for each in DEFINITIONS:
    test(f"{each}: trimmed, started, undone to the letter")(lambda name=each: whole_way(name))


@test("a password: it stays where it was, with its display, a warning says so, and it starts")
def password():
    with made("password", profile="trimmed") as (domain, _):
        wait_ready("password")
        check(has(definition(domain), "devices/graphics[@passwd='geheim']"), "the password is gone")
        check(any("password" in text for text in plan("password")["warnings"]), plan("password")["warnings"])
        domain.create()
        stop(domain)


@test("nothing is left to see the guest with: a warning")
def blind():
    with made("vnc", profile="trimmed") as (domain, _):
        wait_ready("vnc")
        warnings = plan("vnc")["warnings"]
        check(any("but its serial console" in text for text in warnings), warnings)
        check("nothing is left to see" in profile_tool("status", "vnc").stdout, "status does not say it")
        check_trimmed(domain, 0)


@test("what is added while it is trimmed goes as well; an address that was taken meanwhile is no obstacle to undo")
def edits():
    with made("i440fx") as (domain, before):
        profile_tool("set", "i440fx", "trimmed")
        wait_ready("i440fx")
        # The first free slot is one that a removed device had.
        domain.attachDeviceFlags("<disk type='file'><source file='/x.img'/><target dev='vda' bus='virtio'/></disk>", 2)
        domain.attachDeviceFlags("<controller type='scsi' model='virtio-scsi'/>", 2)
        wait_ready("i440fx")
        text = definition(domain).replace("</devices>", "<graphics type='vnc' port='-1'/></devices>")
        connection.defineXML(text)
        wait_until("what was added is gone",
                   lambda: ready("i440fx") and not has(definition(domain), "devices/graphics"))
        check_trimmed(domain, 0)
        profile_tool("unset", "i440fx")
        wait_until("the tag is gone", lambda: not has(definition(domain), "metadata"))
        after = definition(domain)
        # libvirt made the <video> of the display that was added, which takes the place of the one before.
        for path in ("video", "graphics[@type='spice']", "graphics[@type='vnc']", "input[@type='tablet']", "sound",
                     "redirdev", "smartcard", "disk/target[@dev='vda']"):
            check(has(after, f"devices/{path}"), f"{path} is not there after undo")
        check(without_tag(after) != without_tag(before), "nothing was added")
        domain.detachDeviceFlags("<disk type='file'><source file='/x.img'/><target dev='vda' bus='virtio'/></disk>", 2)
        domain.create()
        wait_until("it runs", lambda: is_running(domain))


@test("the tag that turns to no: all is back while the profile stays")
def turned_off():
    with made("virt-manager") as (domain, before):
        profile_tool("set", "virt-manager", "trimmed")
        wait_ready("virt-manager")
        write_profile("trimmed", "[devices]\ntrim = no\n")
        wait_until("it is back", lambda: without_tag(definition(domain)) == without_tag(before))
        write_profile("trimmed", "[devices]\ntrim = yes\n")
        wait_until("it is gone", lambda: not has(definition(domain), "devices/video"))


main()
