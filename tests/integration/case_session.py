# SPDX-License-Identifier: LGPL-2.1-or-later
"""qemu:///session: an ordinary user's own libvirtd, daemon and hook; and a gate whose socket came from systemd."""
import json
import os
import socket
import subprocess
import time
import xml.etree.ElementTree as ET

from session_user import USER, Session
from lib import (check, check_equal, connect, daemon, defined, domain_xml, main, need_cpus_beside_the_host, note, run,
                 test, wait_ready, wait_until)

GATE = "/run/vfio-profile/gate.sock"


def affinities(name):
    """{vCPU: CPU list} of a user's guest, found by its name on the command line."""
    pid = run("pgrep", "-u", USER, "-f", f"guest={name},").stdout.split()[0]
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        if status["Name"].startswith("CPU "):
            found[int(status["Name"].split()[1].split("/")[0])] = status["Cpus_allowed_list"]
    return found


@test("a user's tagged domain starts pinned and hidden, through the hook that runs as the user")
def session():
    need_cpus_beside_the_host()
    user = Session()
    process = user.start_daemon()
    try:
        # A user has no hugepages of his own unless the administrator mounted some for him.
        text = domain_xml("mine", "nvidia", "<vfio:memory page-size='off'/>")
        with open(f"{user.home}/mine.xml", "w") as file:
            file.write(text)
        user.run("virsh", "--quiet", "define", f"{user.home}/mine.xml")

        def ready():
            return json.loads(user.run("vfio-profile", "plan", "--json", "mine").stdout)["ready"]

        wait_until("it is prepared", ready, 20)
        plan = json.loads(user.run("vfio-profile", "plan", "--json", "mine").stdout)
        user.run("virsh", "--quiet", "start", "mine")
        check_equal(affinities("mine"), {0: plan["pins"]["vcpus"][0]}, "the vCPU's CPU")
        live = ET.fromstring(user.run("virsh", "dumpxml", "mine").stdout)
        check(live.find("features/kvm/hidden[@state='on']") is not None, "KVM is not hidden")
        user.run("virsh", "--quiet", "destroy", "mine")

        run("pkill", "-TERM", "-u", USER, "-x", "vfio-profiled")
        check_equal(process.wait(20), 0, "the daemon's exit status")
        refused = user.run("virsh", "start", "mine", ok=False).stderr
        check("vfio-profiled --session" in refused and user.gate in refused, f"no advice in: {refused}")
        note(refused[refused.index("vfio-profile:"):].strip())
        user.run("virsh", "--quiet", "undefine", "mine")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        user.kill()


@test("the system's gate does not answer another user")
def other_user():
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{GATE}')"
    refused = run("runuser", "-u", "nobody", "--", "/usr/bin/python3", "-c", code, ok=False).stderr
    check("PermissionError" in refused, refused)


@test("a socket from systemd: the gate answers there, also for a request that came before the daemon")
def activated():
    connection = connect()
    with defined(connection, domain_xml("early", "pinned")) as domain:
        wait_ready("early")
        daemon.stop()
        if os.path.exists(GATE):
            os.unlink(GATE)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(GATE)
            listener.listen(16)
            starter = subprocess.Popen(["virsh", "--quiet", "start", "early"], stderr=subprocess.PIPE, text=True)
            time.sleep(0.5)
            check(starter.poll() is None, "the start did not wait for the gate")

            def pass_socket():
                os.dup2(listener.fileno(), 3, inheritable=True)

            # LISTEN_PID must be the daemon's own: the shell becomes the daemon.
            command = ["/bin/sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec /usr/sbin/vfio-profiled"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, preexec_fn=pass_socket, close_fds=False)
            try:
                check_equal(starter.wait(20), 0, f"the start's exit status ({starter.stderr.read()})")
                check(domain.isActive(), "it does not run")
            finally:
                process.terminate()
                check_equal(process.wait(20), 0, "the daemon's exit status")
            check(os.path.exists(GATE), "the daemon removed systemd's socket")
        os.unlink(GATE)
        daemon.start()


main()
