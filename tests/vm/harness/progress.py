# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the suite prints: TAP, and a line of progress with its seconds for each step."""
import contextlib
import sys
import time


class Progress:
    def __init__(self, stream=sys.stdout):
        self._stream = stream
        self._begin = time.monotonic()
        self._tests = 0
        self.failures = 0

    def _print(self, text):
        print(text, file=self._stream, flush=True)

    def note(self, text):
        for line in str(text).splitlines() or [""]:
            self._print(f"# {line}")

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
        self._tests += 1
        self._print(f"ok {self._tests} - {description}")

    def skipped(self, description, reason):
        self._tests += 1
        self._print(f"ok {self._tests} - {description} # SKIP {reason}")

    def failed(self, description, why):
        self._tests += 1
        self.failures += 1
        self._print(f"not ok {self._tests} - {description}")
        self.note(why)
