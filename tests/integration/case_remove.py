# SPDX-License-Identifier: LGPL-2.1-or-later
"""Before the package goes, no definition may need it: `vfio-profile undo` puts all back, or says who runs."""
import contextlib
import xml.etree.ElementTree as ET

import libvirt

from lib import (QEMU, STATE_NS, TAG_NS, WRAPPERS, check, check_equal, check_same, connect, daemon, defined, definition,
                 domain_xml, main, note, profile_tool, ready, stop, test, wait_ready, without_daemon)

# Marked already, as a definition that comes from a host with that card.
CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><alias name='ua-card-x-vga'/>
<source><address domain='0x0' bus='0x65' slot='0x0' function='0x0'/></source></hostdev>"""
BROKEN_STATE = f"<s:state xmlns:s='{STATE_NS}'><s:bogus/></s:state>"

connection = connect()


def emulator(domain):
    return ET.fromstring(definition(domain)).findtext("devices/emulator")


def is_tagged(domain):
    return f"{{{TAG_NS}}}profile" in [child.tag for child in ET.fromstring(definition(domain)).find("metadata")]


def undo(*arguments, ok=True):
    result = profile_tool("undo", *arguments, ok=ok)
    note((result.stdout + result.stderr).strip())
    return result


@contextlib.contextmanager
def prepared(name, *arguments, **more):
    """A tagged domain that is ready, and its definition as it was before."""
    daemon.stop()
    with defined(connection, domain_xml(name, *arguments, **more)) as domain:
        before = definition(domain)
        daemon.start()
        wait_ready(name)
        check(definition(domain) != before, "nothing was prepared")
        yield domain, before


@test("all definitions are what they were, the emulator too, and the tags stand")
def all_back():
    with prepared("card", "pinned vga", machine="pc", devices=CARD) as (card, card_before), \
            prepared("plain", "pinned") as (plain, plain_before):
        check(emulator(card).startswith(WRAPPERS), f"the emulator is {emulator(card)}, which is no wrapper")
        with without_daemon():
            lines = undo("--all").stdout.splitlines()
            check_equal(len(lines), 2, "lines")
            check_equal(emulator(card), QEMU, "the emulator")
            check_same(definition(card), card_before, "the definition with a wrapper")
            check_same(definition(plain), plain_before, "the plain one")
            check(is_tagged(card) and is_tagged(plain), "a tag is gone")
            check_equal(undo("--all").stdout, "no definition has anything to put back\n", "the second time")
        wait_ready("card")
        wait_ready("plain")
        check(emulator(card).startswith(WRAPPERS), "a daemon that comes back does not prepare it again")


@test("one domain that is named, and not the other")
def one_back():
    with prepared("one", "pinned") as (one, before), prepared("other", "pinned") as (other, _):
        kept = definition(other)
        with without_daemon():
            undo("one")
            check_same(definition(one), before, "the one named")
            check_same(definition(other), kept, "the other")


@test("refused while the daemon runs, and nothing is changed")
def daemon_runs():
    with prepared("plain", "pinned") as (domain, _):
        kept = definition(domain)
        result = undo("--all", ok=False)
        check_equal((result.returncode, result.stderr.count("\n")), (1, 1), "status and lines")
        check("vfio-profiled runs" in result.stderr and "systemctl stop" in result.stderr, result.stderr)
        check_same(definition(domain), kept, "the definition")


@test("refused while a tagged guest runs, with its name, and nothing is changed; done when it has ended")
def guest_runs():
    with prepared("runs", "pinned") as (runs, before), prepared("off", "pinned") as (off, off_before), \
            defined(connection, domain_xml("untagged")) as untagged:
        runs.create()
        untagged.create()
        kept = definition(runs), definition(off)
        with without_daemon():
            result = undo("--all", ok=False)
            check_equal((result.returncode, result.stderr.count("\n")), (1, 1), "status and lines")
            check("'runs'" in result.stderr and "'off'" not in result.stderr and "'untagged'" not in result.stderr,
                  result.stderr)
            check_same(definition(runs), kept[0], "the one that runs")
            check_same(definition(off), kept[1], "the one that does not")
        stop(runs)
        with without_daemon():
            undo("--all")
            check_same(definition(runs), before, "the one that ran")
            check_same(definition(off), off_before, "the other")


@test("refused while a managed save starts QEMU through a wrapper, and a snapshot that does is named")
def kept():
    with prepared("card", "pinned vga", machine="pc", devices=CARD) as (card, before):
        wrapped = emulator(card)
        check(wrapped.startswith(WRAPPERS), f"the emulator is {wrapped}, which is no wrapper")
        with defined(connection, domain_xml("kept", emulator=wrapped)) as saved, \
                defined(connection, domain_xml("other")) as other:
            prepared_card = definition(card)
            # Its disks are of no account here, so it has none: libvirt is only told of it.
            saved.snapshotCreateXML("<domainsnapshot><name>early</name><creationTime>1</creationTime>"
                                    f"<state>shutoff</state>{definition(saved)}</domainsnapshot>",
                                    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
            for domain in (saved, other):
                domain.create()
                domain.managedSave()
            with without_daemon():
                result = undo("--all", ok=False)
                check("managed save" in result.stderr and "'kept'" in result.stderr.splitlines()[-1]
                      and "managedsave-remove" in result.stderr and "'other'" not in result.stderr, result.stderr)
                check_same(definition(card), prepared_card, "the definition")
                saved.managedSaveRemove()
                result = undo("--all")
                check("'early' of 'kept'" in result.stderr and "snapshot-edit" in result.stderr, result.stderr)
                check_same(definition(card), before, "the definition")
            saved.snapshotLookupByName("early").delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
            other.managedSaveRemove()


@test("a transient guest with a tag is one that runs, too")
def transient_runs():
    with prepared("model", "pinned") as (model, _):
        xml = definition(model)
    xml = xml.replace("<name>model</name>", "<name>passing</name>")
    passing = connection.createXML(xml)
    try:
        with without_daemon():
            check("'passing'" in undo("--all", ok=False).stderr, "it is not named")
    finally:
        stop(passing)


@test("one that is damaged is named, and the others are put back all the same")
def damaged():
    with prepared("plain", "pinned") as (plain, before):
        daemon.stop()
        try:
            with defined(connection, domain_xml("broken", "pinned", metadata=BROKEN_STATE)) as broken:
                kept = definition(broken)
                result = undo("--all", ok=False)
                check("'broken'" in result.stderr.splitlines()[-1] and "'plain'" not in result.stderr, result.stderr)
                check_same(definition(plain), before, "the other")
                check_same(definition(broken), kept, "the damaged one")
        finally:
            daemon.start()


@test("overrides in a tag stand as well")
def overrides_stay():
    override = "<vfio:cpu reserve-cores='1'/>"
    with prepared("special", "pinned", override) as (domain, before):
        with without_daemon():
            undo("--all")
            check_same(definition(domain), before, "the definition")
            check("reserve-cores" in definition(domain), "the override is gone")
            check(not ready("special"), "it is ready with its originals")


main()
