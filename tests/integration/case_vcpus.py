# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another number of vCPUs while a topology of ours stands: refused by libvirt, done at once by 'set --vcpus'."""
import contextlib
import json
import xml.etree.ElementTree as ET

from lib import (TAG_NS, LogWatch, check, check_equal, connect, defined, definition, domain_xml, has, main,
                 need_cpus_beside_the_host, pins, profile_tool, ready, run, test, virsh, wait_ready,
                 wait_until, without_daemon)

MATCH = "<vfio:cpu topology='match'/><vfio:memory page-size='off'/>"

connection = connect()


def topology_of(domain):
    topology = ET.fromstring(definition(domain)).find("cpu/topology")
    total = 1
    for number in topology.attrib.values():
        total *= int(number)
    return total


def check_vcpus(domain, count):
    """Number, topology and pins of a definition that is ready, and nothing is asked for any more."""
    root = ET.fromstring(definition(domain))
    check_equal((root.findtext("vcpu"), root.find("vcpu").get("current")), (str(count), None), "<vcpu>")
    check_equal(topology_of(domain), count, "vCPUs of the topology")
    check_equal(len(pins(definition(domain))), count, "pins")
    check_equal(root.find(f"metadata/{{{TAG_NS}}}profile").get("vcpus"), None, "what the tag asks for")
    check(ready(domain.name()), "it is not ready")


@test("libvirt refuses the number alone, and the doctor says what to do instead")
def refused():
    need_cpus_beside_the_host()
    with defined(connection, domain_xml("shown", "pinned", MATCH)) as domain:
        wait_ready("shown")
        check_equal(topology_of(domain), 1, "vCPUs of the topology")
        result = virsh("setvcpus", "shown", "2", "--maximum", "--config", ok=False)
        check("topology" in result.stderr, result.stderr)
        report = json.loads(run("vfio-profile", "doctor", "--json", "shown", ok=None).stdout)
        (line,) = [one["seen"] for one in report["checks"] if one["check"] == "domain.topology"]
        check("vfio-profile set shown --vcpus N" in line, line)


@test("set --vcpus: number, topology and pins in one define, with the daemon and without")
def changed():
    need_cpus_beside_the_host()
    with defined(connection, domain_xml("shown", "pinned", MATCH)) as domain:
        wait_ready("shown")
        log = LogWatch()
        profile_tool("set", "shown", "--vcpus", "2")
        check_vcpus(domain, 2)
        check_equal(log.count("domain 'shown': prepared for"), 1, "defines")
        domain.create()
        check_equal(domain.maxVcpus(), 2, "vCPUs of the guest that runs")
        domain.destroy()
        with without_daemon():
            profile_tool("set", "shown", "-n", "1")
            check_vcpus(domain, 1)
            profile_tool("set", "shown", "pinned", "--vcpus", "2", "--option", "cpu.reserve-cores=1")
            check_vcpus(domain, 2)
        profile_tool("unset", "shown")
        check_equal((domain.vcpusFlags(2 | 4), has(definition(domain), "cpu/topology")), (2, False),
                    "vCPUs and topology without the tag")


@test("a tag that a rule gave stays the rule's, with the daemon and without")
def of_a_rule():
    need_cpus_beside_the_host()
    with defined(connection, domain_xml("ruled", head="<description>#vfio:gaming</description>")) as domain:
        wait_until("the rule has tagged it", lambda: has(definition(domain), f"metadata/{{{TAG_NS}}}profile"))
        wait_ready("ruled")
        for context, count in ((contextlib.nullcontext, 2), (without_daemon, 1)):
            with context():
                profile_tool("set", "ruled", "--vcpus", str(count))
                check_vcpus(domain, count)
                tag = ET.fromstring(definition(domain)).find(f"metadata/{{{TAG_NS}}}profile")
                check_equal(tag.attrib, {"name": "gaming", "rule": "10-hashtag"}, "the tag")


@test("what cannot be: a topology of the domain's own, or no tag; nothing is changed")
def impossible():
    own = "<cpu><topology sockets='1' dies='1' cores='1' threads='1'/></cpu>"
    with defined(connection, domain_xml("own", "pinned", "<vfio:memory page-size='off'/>", head=own)) as domain, \
         defined(connection, domain_xml("bare")) as bare:
        wait_ready("own")
        for name, words in (("own", "its own <topology> is for 1 vCPUs"), ("bare", "virsh setvcpus bare 2 --maximum")):
            before = definition(connection.lookupByName(name))
            text = profile_tool("set", name, "--vcpus", "2", ok=False).stderr
            check(words in text, text)
            check_equal(definition(connection.lookupByName(name)), before, "the definition")
        check_equal((domain.vcpusFlags(2 | 4), bare.vcpusFlags(2 | 4)), (1, 1), "vCPUs")


main()
