# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hook that libvirt passes over in silence: the daemon notices guests that were started past it, and only those."""
import contextlib
import json
import os
import signal
import time

from lib import (LogWatch, check, check_equal, connect, daemon, defined, domain_xml, is_running, libvirtd, main, note,
                 profile_tool, run, stop, test, virsh, wait_ready, wait_until)

HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
ASIDE = "/etc/libvirt/hooks/aside"
MAIN_HOOK = "/etc/libvirt/hooks/qemu"
SILENT = "libvirt did not call the hook"
HOLDS = "/run/vfio-profile/holds"

connection = connect()


def reload_libvirt():
    """As 'systemctl reload libvirtd' does; it looks for hooks in its main loop a moment later."""
    os.kill(libvirtd.pid(), signal.SIGHUP)
    time.sleep(0.5)


def restart_libvirt():
    global connection  # the old one ended with the libvirtd that it was made to
    connection.close()
    libvirtd.restart()
    connection = connect()


@contextlib.contextmanager
def hook_moved_away():
    os.rename(HOOK, ASIDE)
    try:
        yield
    finally:
        if os.path.exists(ASIDE):
            os.rename(ASIDE, HOOK)


def silent(name):
    """What status says of it: why the hook was not called, or None; the text says the same."""
    report = json.loads(profile_tool("status", "--json", name).stdout)[0]
    text = profile_tool("status", name).stdout
    check_equal("started past the hook" in text, report["hook_silent"] is not None, f"the text of status ({text})")
    return report["hook_silent"]


def doctor_called(name):
    report = json.loads(run("vfio-profile", "doctor", "--json", name, ok=None).stdout)
    return [(one["result"], one["seen"]) for one in report["checks"] if one["check"] == "hook.called"]


def start(domain):
    domain.create()
    wait_until("it runs", lambda: is_running(domain))


def quiet(log, domain):
    """The daemon has had its look at the guest that runs, and says nothing."""
    domain.setMetadata(1, f"Seen {time.monotonic()}", None, None, 2)
    wait_ready(domain.name())
    time.sleep(0.3)
    check_equal(log.count(SILENT), 0, f"errors in {log.text()}")
    check_equal(silent(domain.name()), None, "what status says")


def stop_and_wait(domain):
    stop(domain)
    wait_until("it does not run", lambda: not domain.isActive())


@test("a hook that is not executable: an error that says so, once; status and doctor show it, after a restart too")
def not_executable():
    with defined(connection, domain_xml("quiet", "pinned")) as domain:
        wait_ready("quiet")
        log = LogWatch()
        os.chmod(HOOK, 0o644)
        try:
            reload_libvirt()
            start(domain)
            log.wait_for(SILENT)
            note([line for line in log.text().splitlines() if SILENT in line][0])
            check(f"chmod 755 {HOOK}" in log.text(), f"no advice in {log.text()}")
            check("not executable" in silent("quiet"), f"status says: {silent('quiet')}")
            check_equal([result for result, _ in doctor_called("quiet")], ["FAIL"], "doctor's hook.called")
            daemon.restart()
            wait_ready("quiet")
            check("not executable" in silent("quiet"), "status forgot it when the daemon was restarted")
            check_equal(log.count(SILENT), 1, f"errors in {log.text()}")
            # The same again is another start, and another error.
            stop_and_wait(domain)
            start(domain)
            wait_until("the second start is an error as well", lambda: log.count(SILENT) == 2)
            stop_and_wait(domain)
        finally:
            os.chmod(HOOK, 0o755)
        reload_libvirt()
        log = LogWatch()
        start(domain)
        quiet(log, domain)
        check_equal(doctor_called("quiet"), [("OK", "at the start of 1 of 1 tagged guest that runs")], "hook.called")
        stop_and_wait(domain)
        wait_until("nothing is left in the journal", lambda: not os.listdir(HOLDS), 20)


@test("a hook that is gone; and a start while nobody looked, found when the daemon comes")
def gone():
    with defined(connection, domain_xml("quiet", "pinned")) as domain:
        wait_ready("quiet")
        log = LogWatch()
        with hook_moved_away():
            reload_libvirt()
            daemon.stop()
            start(domain)
            daemon.start()
            log.wait_for(SILENT)
            check("is not there" in silent("quiet"), f"status says: {silent('quiet')}")
            note(profile_tool("status").stdout)
        # What was called at the start of a guest is not asked for again: the hook is back, the guest is the same.
        reload_libvirt()
        check("is not there" in silent("quiet"), "it is forgotten while the guest runs")
        stop_and_wait(domain)
        wait_until("nothing is left in the journal", lambda: not os.listdir(HOLDS), 20)
        check_equal(log.count(SILENT), 1, "errors")


@test("a hook that came after libvirt's start: reload")
def not_registered():
    with defined(connection, domain_xml("quiet", "pinned")):
        wait_ready("quiet")
        log = LogWatch()
        with hook_moved_away():
            restart_libvirt()
            domain = connection.lookupByName("quiet")
            log.wait_for("connected to libvirt")
            time.sleep(2.5)  # the kernel tells starts in whole seconds
        log = LogWatch()
        start(domain)
        log.wait_for(SILENT)
        check("systemctl reload libvirtd" in silent("quiet"), f"status says: {silent('quiet')}")
        stop_and_wait(domain)
        reload_libvirt()
        log = LogWatch()
        start(domain)
        quiet(log, domain)


@test("no error: restarts of both daemons, a guest that was killed with its daemon, save and restore")
def survives():
    with defined(connection, domain_xml("heard", "pinned")):
        wait_ready("heard")
        log = LogWatch()
        domain = connection.lookupByName("heard")
        start(domain)
        quiet(log, domain)
        with open(f"{HOLDS}/{domain.UUIDString()}") as file:
            check(f"run={domain.ID()}\n" in file.read(), "the journal does not name this run of the guest")
        daemon.kill()
        daemon.start()
        wait_ready("heard")
        quiet(log, domain)
        restart_libvirt()
        domain = connection.lookupByName("heard")
        quiet(log, domain)
        domain.managedSave()
        wait_until("it does not run", lambda: not domain.isActive())
        start(domain)
        quiet(log, domain)


@test("no error: no tag, or a tag that came while the guest ran")
def not_ours():
    with hook_moved_away():
        reload_libvirt()
        with defined(connection, domain_xml("plain")) as domain:
            log = LogWatch()
            start(domain)
            profile_tool("set", "plain", "pinned")
            virsh("metadata", "plain", "--uri", "urn:vfio-profile:1", "--key", "vfio", "--set",
                  "<profile name='pinned'/>", "--live")
            wait_ready("plain")
            daemon.restart()
            wait_ready("plain")
            quiet(log, domain)
    reload_libvirt()


@test("no error: the administrator's own hook calls ours")
def dispatched():
    with hook_moved_away(), defined(connection, domain_xml("passed", "pinned")) as domain:
        with open(MAIN_HOOK, "w") as file:
            file.write(f'#!/bin/sh\nexec {ASIDE} "$@"\n')
        os.chmod(MAIN_HOOK, 0o755)
        try:
            wait_ready("passed")
            reload_libvirt()
            log = LogWatch()
            start(domain)
            quiet(log, domain)
            stop_and_wait(domain)
        finally:
            os.unlink(MAIN_HOOK)
    reload_libvirt()


main()
