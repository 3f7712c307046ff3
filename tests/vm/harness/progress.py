# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the suite prints: TAP; and a line for each step, with its seconds, where errors go, as meson keeps that."""
import contextlib
import sys
import threading
import time


class Progress:
    """Several threads may print: what one call prints stays together."""

    def __init__(self):
        self._begin = time.monotonic()
        self._lock = threading.RLock()
        self._tests = 0
        self.failures = 0

    def _print(self, text, stream=sys.stdout):
        with self._lock:
            print(text, file=stream, flush=True)

    def note(self, text):
        self._print("\n".join(f"# {line}" for line in str(text).splitlines() or [""]), sys.stderr)

    @contextlib.contextmanager
    def step(self, text):
        begin = time.monotonic()
        try:
            yield
        except BaseException:
            self.step_done(text, begin, "FAILED")
            raise
        self.step_done(text, begin)

    def step_done(self, text, begin, verdict=""):
        now = time.monotonic()
        self.note(f"{now - self._begin:6.1f} s  {now - begin:5.1f} s  {text}{verdict and ': ' + verdict}")

    def plan(self, count):
        self._print(f"1..{count}")

    def skip_all(self, reason):
        self._print(f"1..0 # SKIP {reason}")

    def passed(self, description):
        self._verdict("ok", description)

    def skipped(self, description, reason):
        self._verdict("ok", f"{description} # SKIP {reason}")

    def failed(self, description, *why):
        """The texts say what is known of it."""
        with self._lock:
            self.failures += 1
            self._verdict("not ok", description)
            for text in filter(None, why):
                self.note(text)

    def _verdict(self, word, text):
        with self._lock:
            self._tests += 1
            self._print(f"{word} {self._tests} - {text}")
