# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules: nobody writes a tag, and virsh alone is the client."""
import json
import os
import xml.etree.ElementTree as ET

import libvirt

from lib import (LOCAL_PROFILES, TAG_NS, LogWatch, Qemu, Skip, check, check_equal, check_same, connect, defined,
                 definition, domain_xml, is_active, main, note, pins, profile_tool, ready, remove, run, test, virsh,
                 wait_ready, wait_until, write_profile)

RULES = "/etc/vfio-profile/rules.d"
TRIES = 30

connection = connect()


def tag_of(domain):
    """{"name": …, "rule": …} of the definition, or None."""
    tag = ET.fromstring(definition(domain)).find(f"metadata/{{{TAG_NS}}}profile")
    return dict(tag.attrib) if tag is not None else None


def describe(name, text):
    virsh("desc", name, "--config", "--new-desc", text)


def wait_tag(domain, names, rule):
    wanted = {"name": names, "rule": rule} if names else None
    wait_until(f"the tag is {wanted}", lambda: tag_of(domain) == wanted or None, 10)


def put(name, text):
    os.makedirs(RULES, exist_ok=True)
    with open(f"{RULES}/.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{RULES}/.new", f"{RULES}/{name}")


def take(name):
    os.unlink(f"{RULES}/{name}")


def rules():
    return {rule["name"]: rule for rule in json.loads(profile_tool("rules", "--json").stdout)}


def fits(name):
    return {fit["domain"]: fit for fit in rules()[name]["domains"]}


PLAIN = domain_xml("plain", head="<description>a guest</description>")


@test("a description that says vfio:pinned: prepared, and the tag says by which rule")
def hashtag():
    with defined(connection, PLAIN) as domain:
        before = definition(domain)
        log = LogWatch()
        describe("plain", "a guest, #vfio:pinned.")
        wait_tag(domain, "pinned", "10-hashtag")
        wait_ready("plain")
        check(pins(definition(domain)), "it has no vcpupin")
        log.wait_for("domain 'plain': prepared for 'pinned' (rule '10-hashtag')")
        check_equal(fits("10-hashtag")["plain"]["profile"], "pinned", "what the list says of it")
        status = json.loads(profile_tool("status", "--json", "plain").stdout)[0]
        check_equal([status[key] for key in ("profile", "tag_rule", "state")], ["pinned", "10-hashtag", "ready"], "status")

        # An edit of somebody who knows nothing of this.
        virsh("setmaxmem", "plain", "128M", "--config")
        virsh("setmem", "plain", "128M", "--config")
        wait_ready("plain")
        check_equal(ET.fromstring(definition(domain)).findtext("memory"), "131072", "the memory, KiB")
        wait_tag(domain, "pinned", "10-hashtag")
        domain.create()
        check(pins(domain.XMLDesc()), "it runs without pins")
        check_equal(Qemu("plain").hugetlb_kib(), 128 * 1024, "guest memory on hugepages, KiB")
        domain.destroy()

        virsh("setmem", "plain", "64M", "--config")
        virsh("setmaxmem", "plain", "64M", "--config")
        describe("plain", "a guest")
        wait_tag(domain, None, None)
        wait_until("everything is undone", lambda: definition(domain) == before or None, 5)
        check("domain 'plain': undone" in log.text(), "the log has no line about it")


@test("the whole definition from an editor: word in, word out, the same")
def by_define():
    path = "/run/sandbox/edited.xml"
    with defined(connection, PLAIN) as domain:
        before = definition(domain)
        with open(path, "w", encoding="utf-8") as file:
            file.write(before.replace("<description>a guest", "<title>x</title><description>#vfio:gaming"))
        virsh("define", path)
        wait_tag(domain, "gaming", "10-hashtag")
        wait_ready("plain")
        with open(path, "w", encoding="utf-8") as file:
            file.write(definition(domain).replace("#vfio:gaming", "a guest").replace("<title>x</title>", ""))
        virsh("define", path)
        wait_tag(domain, None, None)
        wait_until("everything is undone", lambda: ET.canonicalize(definition(domain), strip_text=True)
                   == ET.canonicalize(before, strip_text=True) or None, 5)


@test("a word that is no profile: no tag, and the log and status say so")
def wrong_word():
    with defined(connection, PLAIN) as domain:
        describe("plain", "#vfio:pinned")
        wait_tag(domain, "pinned", "10-hashtag")
        describe("plain", "#vfio:pined")
        wait_tag(domain, None, None)
        check(not pins(definition(domain)), "it has pins")
        check("'pined'" in profile_tool("plan", "plain").stderr, "plan does not warn")
        domain.create()
        check(is_active(domain), "it does not start")


@test("a tag of its own wins; set makes a rule's tag its own, unset says why it cannot go")
def own_tag():
    with defined(connection, domain_xml("own", "pinned", head="<description>#vfio:vga</description>")) as domain:
        wait_ready("own")
        check_equal(tag_of(domain), {"name": "pinned"}, "the tag")
        check("of its own" in fits("10-hashtag")["own"]["instead"], "the list does not say why")
        # Its own goes: then the rule's comes.
        text = profile_tool("unset", "own").stdout
        check("rule '10-hashtag' gives it 'vga'" in text, text)
        wait_tag(domain, "vga", "10-hashtag")
        refusal = profile_tool("unset", "own", ok=False).stderr
        check("#vfio:none" in refusal and "--disable 10-hashtag" in refusal, refusal)
        note(refusal)
        check_equal(tag_of(domain), {"name": "vga", "rule": "10-hashtag"}, "the tag after that")
        profile_tool("set", "own", "pinned")
        check_equal(tag_of(domain), {"name": "pinned"}, "the tag after set")
        describe("own", "nothing")
        wait_ready("own")
        check_equal(tag_of(domain), {"name": "pinned"}, "the tag without the word")
        profile_tool("unset", "own")
        check_equal(tag_of(domain), None, "the tag after unset")
        describe("own", "#vfio:none")
        profile_tool("unset", "own")


@test("a rule's file that comes, changes, breaks and goes")
def files():
    with defined(connection, domain_xml("rec-1", head="<description>x</description>")) as domain, \
            defined(connection, domain_xml("other")) as other:
        before = definition(domain)
        log = LogWatch()
        put("30-rec.conf", "[rule]\nprofiles=pinned\n[match]\nname=rec-*\n")
        wait_tag(domain, "pinned", "30-rec")
        wait_ready("rec-1")
        check_equal(tag_of(other), None, "the tag of one that does not fit")
        put("30-rec.conf", "[rule]\nprofiles=nvidia\n[match]\nname=rec-*\n")
        wait_tag(domain, "nvidia", "30-rec")
        # An earlier rule comes first.
        put("20-rec.conf", "[rule]\nprofiles=pinned\n[match]\nname=rec-?\n")
        wait_tag(domain, "pinned", "20-rec")
        check("20-rec" in fits("30-rec")["rec-1"]["instead"], "the list does not say which rule comes first")
        take("20-rec.conf")
        wait_tag(domain, "nvidia", "30-rec")
        wait_ready("rec-1")
        prepared = definition(domain)
        put("30-rec.conf", "[rule]\nprofiles=nvidea\n[match]\nname=rec-*\n")
        log.wait_for("rule '30-rec' is broken")
        describe("other", "somebody edits")  # the daemon is through with the reload once it has seen this
        wait_until("the list has it", lambda: rules()["30-rec"]["error"], 5)
        check_same(definition(domain), prepared, "what a rule gave that is broken now")
        take("30-rec.conf")
        wait_tag(domain, None, None)
        wait_until("everything is undone", lambda: definition(domain) == before or None, 5)


@test("--enable and --disable: one command each, and the daemon follows")
def switches():
    put("60-all.conf", "[rule]\nenabled=no\nprofiles=pinned\n[match]\nfirmware=bios\nname=sw*\n")
    with defined(connection, domain_xml("switched")) as domain:
        check_equal([rules()[name]["enabled"] for name in ("10-hashtag", "50-gpu", "60-all")], [True, False, False],
                    "what is on")
        check("switched" in fits("60-all"), "a rule that is off does not say whom it would fit")
        before = definition(domain)
        profile_tool("rules", "--enable", "60-all")
        wait_tag(domain, "pinned", "60-all")
        profile_tool("rules", "--disable", "60-all")
        wait_tag(domain, None, None)
        wait_until("everything is undone", lambda: definition(domain) == before or None, 5)
    take("60-all.conf")
    take("60-all.enabled")


def start_now(name, text):
    """Defines and starts in one breath."""
    domain = connection.defineXML(domain_xml(name, head=f"<description>{text}</description>"))
    domain.create()
    return domain


@test("defined and started in one connection: never refused, and tuned from the next start on")
def at_once():
    for attempt in range(1, TRIES + 1):
        log = LogWatch()
        domain = start_now("atonce", "#vfio:pinned")
        try:
            untuned = not pins(domain.XMLDesc())
            wait_ready("atonce")
            wait_tag(domain, "pinned", "10-hashtag")
            if not untuned:
                continue
            log.wait_for("is tuned from its next start on", 5)
            domain.destroy()
            domain.create()
            check(pins(domain.XMLDesc()), "it is untuned at its second start")
            check_equal(Qemu("atonce").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")
            note(f"start {attempt} was faster than the daemon")
            return
        finally:
            remove(domain)
    raise Skip(f"the daemon was faster than the start in each of {TRIES} tries")


@test("a rule's tag in a definition that was edited a moment ago: it starts, where an own tag is refused")
def stale():
    for attempt in range(1, TRIES + 1):
        log = LogWatch()
        with defined(connection, PLAIN.replace("a guest", "#vfio:pinned")) as domain:
            wait_ready("plain")
            text = definition(domain)
            edited = text.replace("<memory unit='KiB'>65536", "<memory unit='KiB'>98304").replace(
                "<currentMemory unit='KiB'>65536", "<currentMemory unit='KiB'>98304")
            pin = ET.fromstring(text).find("cputune/vcpupin").get("cpuset")
            edited = edited.replace(f"<vcpupin vcpu='0' cpuset='{pin}'/>", "<vcpupin vcpu='0' cpuset='0'/>")
            connection.defineXML(edited).create()
            raced = "starts as it is, and is tuned from its next start on" in log.text()
            check(is_active(domain), "it does not run")
            wait_ready("plain")
            check_equal(ET.fromstring(definition(domain)).findtext("memory"), "98304", "the memory, KiB")
            if raced:
                wait_until("it holds pages", lambda: Qemu("plain").hugetlb_kib() == 96 * 1024, 5)
                note(f"start {attempt} was faster than the daemon")
                return
    raise Skip(f"the daemon was faster than the start in each of {TRIES} tries")


@test("the word goes and it starts in one breath: it starts, and is undone")
def gone_at_once():
    with defined(connection, PLAIN.replace("a guest", "#vfio:pinned")) as domain:
        wait_ready("plain")
        connection.defineXML(definition(domain).replace("#vfio:pinned", "nothing")).create()
        check(is_active(domain), "it does not run")
        wait_tag(domain, None, None)
        check(not pins(definition(domain)), "the pins are still there")


@test("pages that the host does not have are refused for a rule's tag as for any")
def pages_refused():
    write_profile("nopages", "[cpu]\npin=yes\n[memory]\npage-size=2M\nallocate=no\n")
    put("30-big.conf", "[rule]\nprofiles=nopages\n[match]\nname=big\n")
    total = int(run("sh", "-c", "cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages").stdout)
    try:
        with defined(connection, domain_xml("big", mib=2 * total + 64)) as domain:
            wait_tag(domain, "nopages", "30-big")
            wait_ready("big")
            try:
                domain.create()
            except libvirt.libvirtError as error:
                check("hugepages" in error.get_error_message(), error.get_error_message())
            else:
                raise AssertionError("it was started")
    finally:
        take("30-big.conf")
        os.unlink(f"{LOCAL_PROFILES}/nopages.conf")


@test("a rule's profile that is gone keeps nobody from starting")
def profile_gone():
    log = LogWatch()
    write_profile("studio", "[cpu]\npin=yes\n")
    put("30-studio.conf", "[rule]\nprofiles=studio\n[match]\nname=studio\n")
    with defined(connection, domain_xml("studio")) as domain, defined(connection, domain_xml("own", "studio")) as own:
        wait_tag(domain, "studio", "30-studio")
        wait_ready("own")
        os.unlink(f"{LOCAL_PROFILES}/studio.conf")
        log.wait_for("rule '30-studio' is broken")
        domain.create()
        log.wait_for("domain 'studio': it starts as it is, as its tag is that of rule '30-studio'")
        try:
            own.create()
        except libvirt.libvirtError as error:
            check("'studio'" in error.get_error_message(), error.get_error_message())
        else:
            raise AssertionError("a domain whose own tag names it was started")
        take("30-studio.conf")
        wait_tag(domain, None, None)


@test("a daemon that starts finds the words that were written while it was away")
def while_away():
    from services import daemon  # pylint: disable=import-outside-toplevel
    with defined(connection, PLAIN) as domain:
        before = definition(domain)
        daemon.stop()
        describe("plain", "#vfio:pinned")
        check_equal(tag_of(domain), None, "the tag without a daemon")
        domain.create()
        check(not pins(domain.XMLDesc()), "it was tuned without a daemon")
        domain.destroy()
        daemon.start()
        wait_tag(domain, "pinned", "10-hashtag")
        wait_ready("plain")
        describe("plain", "a guest")
        wait_until("everything is undone", lambda: definition(domain) == before or None, 10)
        check(ready("plain"), "it is not ready")


main()
