# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hugepages: allocated at prepare, given back at release to the page, whatever goes wrong in between."""
import contextlib
import os
import threading
import time

import libvirt

from lib import (LIMITS, LogWatch, Qemu, check, check_equal, connect, daemon, defined, domain_xml, libvirtd, main, note,
                 run, seconds_of, stop, test, virsh, wait_ready, wait_until, write_limits)

POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB"
HOLDS = "/run/vfio-profile/holds"
MIB = 64
PAGES = MIB // 2
ROUNDS = int(os.environ.get("PAGES_ROUNDS", "200"))

connection = connect()


def read(name):
    with open(f"{POOL}/{name}") as file:
        return int(file.read())


def pool():
    return read("nr_hugepages")


def set_pool(pages):
    """What an administrator does."""
    with open(f"{POOL}/nr_hugepages", "w") as file:
        file.write(str(pages))
    check_equal(pool(), pages, "pages that the kernel gives the test")


def journal():
    return sorted(os.listdir(HOLDS))


def wait_journal(entries, what):
    """A guest's file goes after its pages did."""
    wait_until(f"{what}: the journal is {entries}", lambda: journal() == entries, 5)


def wait_pool(pages, what):
    wait_until(f"{what}: {pages} pages in the pool", lambda: pool() == pages, 10)


@contextlib.contextmanager
def guest(name, overrides="", mib=MIB, **more):
    children = f"<vfio:cpu pin='no'/><vfio:memory page-size='2M' {overrides}/>"
    with defined(connection, domain_xml(name, "pinned", children, mib=mib, **more)) as domain:
        wait_ready(name)
        yield domain


def refusal(domain):
    try:
        domain.create()
    except libvirt.libvirtError as error:
        return error.get_error_message()
    raise AssertionError("the start was not refused")


@test("from an empty pool: allocated for the start, given back after it")
def empty_pool():
    set_pool(0)
    with guest("empty") as domain:
        domain.create()
        check_equal(pool(), PAGES, "pages in the pool while the guest runs")
        check_equal(Qemu("empty").hugetlb_kib(), MIB * 1024, "KiB of the guest on hugepages")
        check_equal(journal(), [domain.UUIDString()], "the journal")
        domain.destroy()
        wait_pool(0, "after the guest")
        wait_journal([], "after the guest")


@test("the administrator's pages are used first, and stay")
def own_pool():
    set_pool(20)
    with guest("own") as domain:
        domain.create()
        check_equal(pool(), PAGES, "pages in the pool while the guest runs")
        domain.destroy()
        wait_pool(20, "after the guest")
    set_pool(100)
    with guest("large") as domain:
        domain.create()
        check_equal(pool(), 100, "a pool that is large enough")
        domain.destroy()
        wait_pool(100, "after the guest")
    set_pool(0)


@test("two at once: each has its own, and what one gives back is not the other's")
def two_guests():
    with guest("one") as one, guest("other") as other:
        one.create()
        other.create()
        check_equal(pool(), 2 * PAGES, "pages of both")
        one.destroy()
        wait_pool(PAGES, "after the first")
        check_equal(Qemu("other").hugetlb_kib(), MIB * 1024, "KiB of the other guest")
        other.destroy()
        wait_pool(0, "after both")


@test("two starts race for the last pages: one wins, the other gets the numbers")
def race():
    set_pool(PAGES + 8)
    with guest("one", "allocate='no'"), guest("other", "allocate='no'"):
        for _ in range(5):
            results = {}

            def start(name, results=results):
                try:
                    connect().lookupByName(name).create()
                    results[name] = ""
                except libvirt.libvirtError as error:
                    results[name] = error.get_error_message()

            threads = [threading.Thread(target=start, args=(name,)) for name in ("one", "other")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            refused = [text for text in results.values() if text]
            check_equal(len(refused), 1, f"starts that were refused of {results}")
            check("vfio-profile:" in refused[0] and f"{PAGES}" in refused[0] and "8" in refused[0],
                  f"the numbers are missing: {refused[0]}")
            for name in results:
                stop(connection.lookupByName(name))
            wait_pool(PAGES + 8, "after the race")
        note(refused[0].strip())
    set_pool(0)


@test("a start that fails in libvirt after prepare gives back")
def fails_later():
    disk = ("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/var/lib/broken.qcow2'/>"
            "<target dev='vda' bus='virtio'/></disk>")
    with open("/var/lib/broken.qcow2", "w") as file:
        file.write("no image")
    with guest("broken", devices=disk) as domain:
        check("vfio-profile" not in refusal(domain), "the gate refused it, QEMU should")
        wait_pool(0, "after the failed start")
        wait_journal([], "after the failed start")


@test("more than the host has is refused with the numbers, and nothing stays taken")
def too_much():
    with guest("huge", "deadline='1'", mib=4 * 1024 * 1024) as domain:
        text = ""

        def start():
            nonlocal text
            text = refusal(domain)

        seconds = seconds_of(start)
        note(text.strip())
        check("2097152" in text, f"it does not say how many pages it needs: {text}")
        check(seconds < 15, f"the refusal took {seconds:.1f} s")
        wait_pool(0, "after the refusal")


@contextlib.contextmanager
def limits(text):
    """The administrator's file, until the daemon has read it; then the old one again."""
    with open(LIMITS) as file:
        before = file.read()
    write_limits(text)
    time.sleep(2)
    try:
        yield
    finally:
        write_limits(before)
        time.sleep(2)


@test("a tag that wants others to wait is refused, with key, value, limit and file; others start")
def hostile_tag():
    children = "<vfio:cpu pin='no'/><vfio:memory page-size='2M' deadline='999'/>"
    words = ("memory.deadline='999'", "'at most 60'", LIMITS)
    with defined(connection, domain_xml("hostile", "pinned", children, mib=MIB)) as hostile, guest("good") as good:
        text = refusal(hostile)
        note(text.strip())
        check(all(word in text for word in words), f"the refusal does not say {words}: {text}")
        check(seconds_of(good.create) < 10, "another start waited")
        good.destroy()
        with limits("[overrides]\nmemory.deadline=any\n"):
            wait_ready("hostile")
            hostile.create()
            hostile.destroy()
        log = LogWatch()
        with limits("[overrides]\nmemory.deadline=forever\n"):
            log.wait_for("the limits that are built in hold")
            check("is damaged" in refusal(hostile), "the refusal does not say that the file is damaged")
        wait_pool(0, "after the guests")


@test("what has to stay available stays, and the refusal has the numbers")
def keeps_memory():
    with guest("large", "deadline='1'") as domain:
        with limits("[memory]\nkeep-available=900G\n"):
            text = refusal(domain)
            note(text.strip())
            check(f"the missing {PAGES} take {MIB} MiB" in text and "921600 MiB have to stay so" in text and
                  LIMITS in text, f"the numbers are missing: {text}")
            check_equal(pool(), 0, "pages in the pool after the refusal")
        domain.create()
        domain.destroy()
        wait_pool(0, "after the guest")


@test("the daemon is killed while a guest runs, which ends meanwhile: given back at the next start")
def killed():
    with guest("left") as domain:
        domain.create()
        daemon.kill()
        domain.destroy()
        check_equal(pool(), PAGES, "pages while no daemon is there")
        daemon.start()
        wait_pool(0, "after the daemon came back")
        wait_journal([], "after the daemon came back")


@test("the daemon is killed and comes back: the guest keeps its pages, and gives them back")
def adopted():
    with guest("kept") as domain:
        domain.create()
        daemon.kill()
        daemon.start()
        wait_until("libvirt was asked who runs", lambda: "connected to libvirt" in daemon.read_log(), 5)
        check_equal(pool(), PAGES, "pages of the guest that runs")
        check_equal(journal(), [domain.UUIDString()], "the journal")
        domain.destroy()
        wait_pool(0, "after the guest")


@test("a restart of libvirt changes nothing for the guest that runs")
def libvirt_restarted():
    log = LogWatch()
    with guest("through") as domain:
        domain.create()
        libvirtd.restart()
        log.wait_for("connected to libvirt")
        check_equal(pool(), PAGES, "pages of the guest that runs")
        again = libvirt.open("qemu:///system").lookupByName("through")
        stop(again) # which says that it does not run, when libvirt was not done with finding its guests again
        wait_pool(0, "after the guest")
        again.undefine()
    global connection  # the old one ended with the daemon that it was made to
    connection = connect()


@test("a mount that libvirt does not know is named before libvirt's own riddle")
def unknown_mount():
    with guest("mount") as domain:
        run("umount", "-l", "/dev/hugepages")
        check("is mounted" in refusal(domain), "no mount: the refusal does not say it")
        run("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "hugetlbfs", "/dev/hugepages")
        check("restart libvirt" in refusal(domain), "a new mount: the refusal does not say what to do")
        wait_pool(0, "after the refusals")
        libvirtd.restart()
        virsh("start", "mount")
        virsh("destroy", "mount")
        wait_pool(0, "after the guest")
        virsh("undefine", "mount")
    global connection
    connection = connect()


@test(f"{ROUNDS} starts and stops: pool, journal and the daemon's open files are what they were")
def rounds():
    def files():
        return len(os.listdir(f"/proc/{daemon.pid()}/fd"))

    with guest("round") as domain:
        domain.create()
        domain.destroy()
        wait_pool(0, "after the first round")
        before = files()
        for _ in range(ROUNDS):
            domain.create()
            domain.destroy()
        wait_pool(0, f"after {ROUNDS} rounds")
        wait_journal([], f"after {ROUNDS} rounds")
        wait_until(f"{before} files are open, now {files()}", lambda: files() <= before + 1, 5)


main()
