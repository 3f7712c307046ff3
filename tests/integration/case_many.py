# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fifty tagged domains defined, twenty started at once: it ends, and costs little.

Times are printed, not asserted.
"""
import os
import subprocess
import time

from lib import (QEMU, check, connect, daemon, definition, domain_xml, has, is_active, libvirtd, main, note, pins,
                 remove, run, test, wait_ready, wait_until)

DEFINED = int(os.environ.get("MANY_DEFINED", "50"))
STARTED = int(os.environ.get("MANY_STARTED", "20"))
MIB = 16
HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
HOOK_AWAY = "/etc/libvirt/hook-away"
# For a deadlock, which lasts for ever; 20 guests under emulation on two CPUs need a while.
DEADLINE = 180


def start_at_once(names):
    """One virsh for each, all at once; gives the seconds until the last has ended."""
    begin = time.monotonic()
    processes = [subprocess.Popen(["virsh", "--quiet", "start", name], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True) for name in names]
    failures = []
    for process in processes:
        output, _ = process.communicate(timeout=max(1, DEADLINE - (time.monotonic() - begin)))
        if process.returncode != 0:
            failures.append(output)
    check(not failures, f"{len(failures)} of {len(names)} starts failed: {''.join(failures[:3])}")
    return time.monotonic() - begin


def define_all(connection, documents):
    # The first define after a restart waits until libvirt has probed QEMU.
    connection.getDomainCapabilities(QEMU, None, None, "qemu")
    begin = time.monotonic()
    for text in documents:
        connection.defineXML(text)
    return time.monotonic() - begin


def end_all(connection):
    for domain in connection.listAllDomains():
        remove(domain)


def prepared_document(name):
    """What the project makes of it, as if the user had written it himself: no tag, no state."""
    text = run("vfio-profile", "rewrite", stdin=domain_xml(name, "pinned", mib=MIB)).stdout
    begin, end = text.index("<metadata"), text.index("</metadata>") + len("</metadata>")
    return text[:begin] + text[end:]


@test(f"{DEFINED} tagged domains defined, {STARTED} started at once")
def many():
    names = [f"many{number}" for number in range(DEFINED)]

    # libvirt alone: no daemon, no hook, the same definitions.
    by_hand = [prepared_document(name) for name in names]
    daemon.stop()
    os.rename(HOOK, HOOK_AWAY)
    libvirtd.restart()
    connection = connect()
    alone_define = define_all(connection, by_hand)
    alone_start = start_at_once(names[:STARTED])
    end_all(connection)
    connection.close()

    os.rename(HOOK_AWAY, HOOK)
    libvirtd.restart()
    daemon.start()
    connection = connect()
    connection.getDomainCapabilities(QEMU, None, None, "qemu")
    begin = time.monotonic()
    ours_define = define_all(connection, [domain_xml(name, "pinned", mib=MIB) for name in names])
    for name in names:
        domain = connection.lookupByName(name)
        wait_until(f"'{name}' has pins", lambda d=domain: pins(definition(d)), 60, 0.01)
    all_prepared = time.monotonic() - begin
    wait_ready(names[-1], 10)
    ours_start = start_at_once(names[:STARTED])
    for name in names[:STARTED]:
        check(is_active(connection.lookupByName(name)), f"'{name}' does not run")
    note(f"{DEFINED} defines: libvirt alone {alone_define:.2f} s, with the daemon {ours_define:.2f} s, "
         f"all prepared after {all_prepared:.2f} s")
    note(f"{STARTED} starts at once: libvirt alone {alone_start:.2f} s, with hook and daemon {ours_start:.2f} s "
         f"({100 * (ours_start / alone_start - 1):+.0f} %)")
    end_all(connection)


@test(f"{STARTED} starts at once with a define of each, from other connections, in between")
def starts_and_defines():
    connection = connect()
    names = [f"mixed{number}" for number in range(STARTED)]
    for name in names:
        connection.defineXML(domain_xml(name, "pinned", mib=MIB))
    for name in names:
        wait_ready(name, 60)
    processes = []
    begin = time.monotonic()
    for name in names:
        for command in (["start", name], ["setvcpus", name, "2", "--maximum", "--config"], ["dumpxml", name]):
            processes.append(subprocess.Popen(["virsh", "--quiet", *command], stdout=subprocess.DEVNULL,
                                              stderr=subprocess.DEVNULL))
    for process in processes:
        process.wait(max(1, DEADLINE - (time.monotonic() - begin)))
    running = sum(is_active(connection.lookupByName(name)) for name in names)
    note(f"{len(processes)} commands ended after {time.monotonic() - begin:.2f} s, {running} of {STARTED} guests run")
    for name in names:
        wait_ready(name, 30)
        text = definition(connection.lookupByName(name))
        check(has(text, "vcpu[@current='1']"), f"'{name}' has no second vCPU")
        # That one is off, and has a CPU where these guests leave any.
        check(pins(text), f"'{name}' has no pins")
    end_all(connection)


main()
