# SPDX-License-Identifier: LGPL-2.1-or-later
"""Defined and started in one connection, the start comes before the daemon: the profile's on-stale decides.

The daemon wins such a race now and then, so each test tries until the start
was the faster one, and says how often it had to.
"""
import libvirt

from lib import (LogWatch, Qemu, Skip, check, check_equal, connect, defined, definition, domain_xml, is_active,
                 is_running, main, need_cpus_beside_the_host, note, parse_cpus, pins, plan, ready, remove, run, stop,
                 test, virsh, wait_ready, wait_until)

TRIES = 30

connection = connect()


def start_stale(name, overrides):
    """Defines and starts; gives (domain, error or None) of the first start that was stale."""
    log = LogWatch()
    for attempt in range(1, TRIES + 1):
        domain = connection.defineXML(domain_xml(name, "pinned", overrides))
        error = None
        try:
            domain.create()
        except libvirt.libvirtError as raised:
            error = raised
        if error is not None or not pins(domain.XMLDesc()):
            note(f"try {attempt} was stale")
            return domain, error, log
        if "pinned live" in log.text():
            note(f"try {attempt} was stale")
            return domain, error, log
        remove(domain)
    raise Skip(f"the daemon was faster than the start in each of {TRIES} tries")


def message_of(error):
    check(error is not None, "the start was not refused")
    return error.get_error_message()


def check_one_line(message):
    # libvirt puts the hook's stderr behind a prefix of its own and ends it with a line end.
    own = message[message.index("vfio-profile:"):].strip()
    check_equal(own.count("\n"), 0, f"lines more than one in '{own}'")
    note(own)


@test("refuse: one clear line, and the second start works")
def refuse():
    domain, error, log = start_stale("refused", "")
    try:
        message = message_of(error)
        check_one_line(message)
        check("'refused'" in message and "start it again" in message, f"the line does not say what to do: {message}")
        wait_ready("refused", 2)
        domain.create()
        check(is_active(domain), "the second start failed")
        check("domain 'refused': start refused:" in log.text(), "the log has no line about it")
    finally:
        remove(domain)


@test("start: it runs, and the live pins are right")
def start():
    need_cpus_beside_the_host()
    domain, error, log = start_stale("started", "<vfio:start on-stale='start'/>")
    try:
        check(error is None, f"the start failed: {error}")
        log.wait_for("pinned live", 5)
        wanted = {vcpu: parse_cpus(cpus) for vcpu, cpus in enumerate(plan("started")["pins"]["vcpus"])}
        wait_until("the vCPU threads are pinned as planned", lambda: wanted == {
            vcpu: parse_cpus(cpus) for vcpu, cpus in Qemu("started").vcpu_affinities().items()}, 5)
        wait_ready("started", 2)
    finally:
        remove(domain)


@test("retry: it ends running and prepared")
def retry():
    domain, error, _log = start_stale("retried", "<vfio:start on-stale='retry'/>")
    try:
        check_one_line(message_of(error))
        wait_until("it runs", lambda: is_running(domain), 10)
        check(ready("retried"), "it runs, but is not prepared")
        check(pins(domain.XMLDesc()), "the running domain has no vcpupin")
        check_equal(Qemu("retried").hugetlb_kib(), 64 * 1024, "guest memory on hugepages, KiB")
    finally:
        remove(domain)


@test("define and start in one virsh: the same one line on its stderr")
def one_virsh():
    with open("/run/sandbox/one.xml", "w") as file:
        file.write(domain_xml("one", "pinned"))
    for _attempt in range(TRIES):
        result = virsh("define /run/sandbox/one.xml; start one", ok=None)
        domain = connection.lookupByName("one")
        if result.returncode != 0:
            check_one_line(result.stderr)
            wait_ready("one", 2)
            virsh("start", "one")
            remove(domain)
            return
        check(pins(domain.XMLDesc()), "it started without pins")
        remove(domain)
    raise Skip(f"the daemon was faster than the start in each of {TRIES} tries")


@test("a transient domain is refused, with advice")
def transient():
    try:
        domain = connection.createXML(domain_xml("transient", "pinned"))
    except libvirt.libvirtError as error:
        message = message_of(error)
        check_one_line(message)
        check("transient" in message and "virsh define" in message and "rewrite" in message, f"no advice: {message}")
    else:
        stop(domain)
        raise AssertionError("it was started")


@test("a transient domain that 'vfio-profile rewrite' made ready starts")
def transient_ready():
    text = run("vfio-profile", "rewrite", stdin=domain_xml("passing", "pinned")).stdout
    domain = connection.createXML(text)
    try:
        check(pins(domain.XMLDesc()), "it runs without pins")
    finally:
        stop(domain)


@test("a tag with an unknown profile: refused, the line lists what there is; the definition stays")
def unknown_profile():
    with defined(connection, domain_xml("unknown", "pined")) as domain:
        before = definition(domain)
        try:
            domain.create()
        except libvirt.libvirtError as error:
            message = message_of(error)
            check_one_line(message)
            check("'pined'" in message and "pinned" in message, f"it does not list the profiles: {message}")
        else:
            raise AssertionError("it was started")
        check_equal(definition(domain), before, "the definition")


main()
