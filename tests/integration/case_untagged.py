# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whoever does not use a profile notices nothing of this project."""
import os
import time

from lib import (CONFIG, STATE_NS, LogWatch, check, check_equal, connect, daemon, defined, definition, domain_xml,
                 is_active, libvirtd, main, profile_tool, remove, seconds_of, test, virsh, wait_ready)

connection = connect()


def version(name):
    """What changes whenever libvirt writes the definition."""
    info = os.stat(f"{CONFIG}/{name}.xml")
    return (info.st_ino, info.st_mtime_ns)


@test("an untagged domain is never written, whatever happens around it")
def never_written():
    log = LogWatch()
    with defined(connection, domain_xml("mine", metadata="<app:a xmlns:app='urn:example:app'/>")) as domain:
        before = version("mine"), definition(domain)
        with defined(connection, domain_xml("other", "nvidia")):
            wait_ready("other")
            daemon.restart()
            virsh("setvcpus", "other", "2", "--maximum", "--config")
            wait_ready("other")
            profile_tool("unset", "other")
            time.sleep(0.5)
        check_equal((version("mine"), definition(domain)), before, "its file and its definition")
        virsh("setvcpus", "mine", "2", "--maximum", "--config")
        edited = version("mine")
        domain.create()
        domain.destroy()
        time.sleep(0.5)
        check_equal(version("mine"), edited, "its file after an edit and a start")
    check("'mine'" not in log.text(), f"the daemon logs about it: {log.text()}")


@test("with the daemon away untagged domains are defined, edited, started, saved and restored")
def daemon_away():
    daemon.kill()
    try:
        with defined(connection, domain_xml("mine")) as domain:
            domain.create()
            check(is_active(domain), "it does not run")
            domain.managedSave()
            domain.create()
            virsh("setvcpus", "mine", "2", "--maximum", "--config")
            check(STATE_NS not in definition(domain), "there is state of ours in it")
            libvirtd.restart()
            again = connect()
            check(is_active(again.lookupByName("mine")), "libvirt lost it at its restart")
            remove(again.lookupByName("mine"))
    finally:
        daemon.start()


@test("with a daemon that hangs they start without a delay")
def daemon_hangs():
    import signal
    connection = connect()
    with defined(connection, domain_xml("mine")) as domain:
        os.kill(daemon.pid(), signal.SIGSTOP)
        try:
            taken = seconds_of(domain.create)
        finally:
            os.kill(daemon.pid(), signal.SIGCONT)
        check(taken < 5, f"the start took {taken:.1f} s")


@test("a domain whose title and description speak of vfio-profile is none of ours")
def mentioned():
    connection = connect()
    text = domain_xml("mentioned", head="<title>urn:vfio-profile:1</title><description>vfio:profile</description>")
    with defined(connection, text) as domain:
        before = version("mentioned")
        domain.create()
        time.sleep(0.3)
        check_equal(version("mentioned"), before, "its file")


main()
