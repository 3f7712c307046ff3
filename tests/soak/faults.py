# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong with the machine while clients work: one fault at a time, and each is over before the next."""
import contextlib
import os
import random
import threading
import time

from lib import daemon, libvirtd, run
from services import without_descriptors

STATE = "/var/lib/vfio-profile"
HOLDS = "/run/vfio-profile/holds"


def mount_folders():
    """The daemon's folders as small file systems of their own. Before it starts."""
    for folder, options in ((STATE, "size=8m,mode=0755"), (HOLDS, "size=4m,mode=0700")):
        os.makedirs(folder, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder)


class Faults(threading.Thread):
    def __init__(self, soak):
        super().__init__(name="faults", daemon=True)
        self.soak = soak
        self.random = random.Random(f"{soak.seed}-faults")
        self.kinds = {self.kill: 5, self.end: 2, self.restart_libvirtd: 2, self.full_disk: 2, self.read_only: 2,
                      self.no_descriptors: 2}

    def hold(self, seconds=5):
        time.sleep(self.random.uniform(0.5, seconds))

    def kill(self):
        daemon.kill()
        time.sleep(self.random.choice([0, self.random.uniform(0, 3)]))
        daemon.start()

    def end(self):
        daemon.stop()
        time.sleep(self.random.choice([0, self.random.uniform(0, 3)]))
        daemon.start()

    def restart_libvirtd(self):
        with self.soak.whole.have():
            libvirtd.restart()

    def full_disk(self):
        filler = f"{STATE}/filler"
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        self.hold()
        os.unlink(filler)

    def read_only(self):
        """The journal's file system; the gate's socket stays, or nobody could be asked."""
        while run("mount", "-o", "remount,ro", HOLDS, ok=None).returncode != 0:
            time.sleep(0.05)  # busy while the journal is written
        self.hold()
        run("mount", "-o", "remount,rw", HOLDS)

    def no_descriptors(self):
        with without_descriptors(daemon):
            self.hold(3)

    def run(self):
        while not self.soak.ending.wait(self.random.uniform(1, 8)):
            kind = self.random.choices(*zip(*self.kinds.items()))[0]
            try:
                with self.soak.world.share():
                    self.soak.note(self, None, kind.__name__)
                    self.soak.add(kind.__name__)
                    kind()
                    self.soak.note(self, None, f"{kind.__name__} is over")
            except Exception as error:  # pylint: disable=broad-except
                self.soak.fault(error)
