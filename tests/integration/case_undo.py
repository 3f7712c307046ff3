# SPDX-License-Identifier: LGPL-2.1-or-later
"""When the tag goes, the definition is what the user had, to the letter of libvirt's own form."""
from lib import (TAG_NS, check, check_equal, check_same, connect, defined, definition, domain_xml, has, main, pins,
                 profile_tool, ready, test, wait_ready, wait_until)

# One of everything that a careless define loses or that a rule of ours replaces.
RICH = domain_xml(
    "rich",
    head="""<title>A title</title><description>two
lines &amp; a quote "</description>
<memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages><locked/></memoryBacking>
<iothreads>2</iothreads>
<cputune><shares>2000</shares><vcpupin vcpu='0' cpuset='0'/><emulatorpin cpuset='0'/>
<iothreadpin iothread='1' cpuset='0'/></cputune>""",
    metadata="""<app:note xmlns:app="urn:example:app"><app:a>text</app:a><!-- kept --></app:note>""",
    features="""<hyperv mode='custom'><relaxed state='on'/><vendor_id state='on' value='mine'/></hyperv>
<kvm><hidden state='off'/><poll-control state='on'/></kvm><vmport state='off'/>""",
    clock="""<clock offset='localtime'><timer name='hypervclock' present='yes'/>
<timer name='hpet' present='no'/></clock>""",
    devices="""<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
<graphics type='vnc' port='-1' autoport='yes' passwd='secret' passwdValidTo='2030-01-01T00:00:00'/>
<graphics type='spice' autoport='yes' passwd='other'/>
<video><model type='vga'/></video>
<hostdev mode='subsystem' type='pci' managed='yes'>
<source><address domain='0' bus='0x65' slot='0' function='0'/></source></hostdev>""",
    mib=2048,
).replace("<os>", """<os><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
<nvram>/var/lib/libvirt/qemu/nvram/rich_VARS.fd</nvram>""").replace("<domain type='qemu'>", """<domain type='qemu'
 xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>""").replace("</domain>", """<qemu:commandline>
<qemu:arg value='-set'/><qemu:env name='A' value='b'/></qemu:commandline></domain>""")

connection = connect()


def check_kept(domain):
    text = definition(domain)
    check(has(text, "devices/graphics[@passwd='secret']"), "the VNC password is gone")
    check(has(text, "devices/graphics[@passwd='other']"), "the SPICE password is gone")
    check(domain.autostart(), "autostart is off")
    check(has(text, "title") and has(text, "description"), "title or description are gone")
    check(has(text, "os/nvram"), "<nvram> is gone")
    check(has(text, "{http://libvirt.org/schemas/domain/qemu/1.0}commandline"), "qemu:commandline is gone")
    check("<!-- kept -->" in text, "a comment in another application's metadata is gone")


def prepare_and_undo(profiles, undo):
    with defined(connection, RICH) as domain:
        domain.setAutostart(True)
        before = definition(domain)
        profile_tool("set", "rich", *profiles)
        wait_ready("rich")
        prepared = definition(domain)
        check(prepared != before and pins(prepared)["0"] != "0", "nothing was prepared")
        check_kept(domain)
        undo(domain)
        wait_until("the originals are back", lambda: definition(domain) == before or None, 5)
        check_kept(domain)


@test("set pinned, unset: canonically what the user defined")
def unset_pinned():
    prepare_and_undo(["pinned"], lambda domain: profile_tool("unset", "rich"))


@test("set nvidia, unset: the same, with hyperv, hidden and hypervclock")
def unset_nvidia():
    prepare_and_undo(["nvidia"], lambda domain: profile_tool("unset", "rich"))


@test("set gaming, then another profile, unset: the same")
def unset_after_change():
    def undo(_domain):
        profile_tool("set", "rich", "nvidia", "vga")
        wait_ready("rich")
        profile_tool("set", "rich", "pinned")
        wait_ready("rich")
        profile_tool("unset", "rich")

    prepare_and_undo(["gaming"], undo)


@test("the tag removed with libvirt's own call: the same")
def unset_by_libvirt():
    def undo(domain):
        domain.setMetadata(2, None, None, TAG_NS, 2)

    prepare_and_undo(["nvidia"], undo)


@test("the tag cut out of the whole document, as an editor does: the same")
def unset_by_editor():
    def undo(domain):
        text = definition(domain)
        begin = text.index("<vfio:profile")
        end = text.index(">", begin)
        end = text.index("</vfio:profile>", end) + len("</vfio:profile>") if text[end - 1] != "/" else end + 1
        connection.defineXML(text[:begin] + text[end:])

    prepare_and_undo(["nvidia"], undo)


@test("what the user adds while the tag stands, stays when it goes")
def additions_stay():
    with defined(connection, RICH) as domain:
        profile_tool("set", "rich", "pinned")
        wait_ready("rich")
        domain.attachDeviceFlags("<disk type='file'><source file='/x.img'/><target dev='vdb' bus='virtio'/></disk>", 2)
        domain.setMetadata(1, "Another title", None, None, 2)
        wait_ready("rich")
        profile_tool("unset", "rich")
        wait_until("the originals are back", lambda: pins(definition(domain)) == {"0": "0"}, 5)
        check(has(definition(domain), "devices/disk/target[@dev='vdb']"), "the new disk is gone")
        check_equal(domain.metadata(1, None, 2), "Another title", "the title")


@test("a definition that is ready is not written again")
def nothing_to_do():
    with defined(connection, RICH) as domain:
        profile_tool("set", "rich", "pinned")
        wait_ready("rich")
        text = definition(domain)
        connection.defineXML(text)
        check(ready("rich"), "it is not ready after it was defined as it was")
        check_same(definition(domain), text, "defined again")


main()
