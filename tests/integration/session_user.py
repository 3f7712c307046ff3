# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ordinary user of the sandbox, with a libvirtd and a daemon of his own: qemu:///session."""
import os
import pwd
import subprocess

from lib import run, wait_until

USER = "vfio-session"


class Session:
    """A user of the sandbox, whose files and processes end with it."""

    def __init__(self):
        run("useradd", "--create-home", "--home-dir", f"/run/home/{USER}", USER)
        self.uid = pwd.getpwnam(USER).pw_uid
        self.home = f"/run/home/{USER}"
        self.runtime = f"/run/user/{self.uid}"
        os.makedirs(self.runtime, mode=0o755)
        os.chmod(self.runtime, 0o700)
        os.chown(self.runtime, self.uid, -1)
        for folder in ("/run", "/run/home", "/run/user", "/etc/libvirt", "/etc/libvirt/hooks"):
            os.chmod(folder, 0o755)
        self.gate = f"{self.runtime}/vfio-profile/gate.sock"

    def command(self, *words, **more):
        environment = {"HOME": self.home, "XDG_RUNTIME_DIR": self.runtime, "PATH": os.environ["PATH"],
                       "LIBVIRT_DEFAULT_URI": "qemu:///session", "LC_ALL": "C.UTF-8",
                       "ASAN_OPTIONS": "detect_leaks=0", **more}
        settings = [f"{name}={value}" for name, value in environment.items()]
        return ["runuser", "-u", USER, "--", "env", "-i", *settings, *words]

    def run(self, *words, ok=True):
        return run(*self.command(*words), ok=ok)

    def start_daemon(self):
        self.log = open(f"{self.home}/log", "w+")
        process = subprocess.Popen(self.command("/usr/sbin/vfio-profiled", "--session"), stdin=subprocess.DEVNULL,
                                   stdout=self.log, stderr=self.log)
        wait_until("the user's daemon answers", lambda: os.path.exists(self.gate), 20)
        return process

    def kill(self):
        run("pkill", "-KILL", "-u", USER, ok=None)
