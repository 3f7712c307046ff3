# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands in the machine, with their exit status: QEMU's guest agent over a virtio-serial port."""
import base64
import json
import random
import socket
import time

# Each question costs the emulated machine what a short command does: it waits for a tenth of the time so far.
POLL, POLL_MOST = 0.05, 0.5
ENVIRONMENT = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
               "LIBVIRT_DEFAULT_URI=qemu:///system"]


class Timeout(AssertionError):
    """The machine did not do in time what it was asked for."""


class Result:
    def __init__(self, command, exit_code, out, err):
        self.command = command
        self.exit = exit_code
        self.out = out
        self.err = err

    def __str__(self):
        return f"`{self.command}` ended with {self.exit}\n{self.out}{self.err}".rstrip()


class Channel:
    def __init__(self, connection, shell):
        self._socket = connection
        self._shell = shell
        self._buffer = b""

    def close(self):
        self._socket.close()

    def synchronize(self, seconds):
        """Waits until the agent answers, and drops what it said to earlier questions."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            number = random.getrandbits(31)
            # 0xff makes the agent forget half a question.
            self._send(b"\xff", {"execute": "guest-sync", "arguments": {"id": number}})
            try:
                while self._receive(3).get("return") != number:
                    pass
                return
            except Timeout:
                continue
        raise Timeout(f"the machine's agent did not answer within {seconds:.0f} s")

    def run(self, command, deadline, stdin=None):
        """Runs a shell command to its end. It is killed in the machine when the deadline passes."""
        arguments = {"path": "/usr/bin/timeout",
                     "arg": ["-k", "2", str(deadline), *self._shell, "-c", command],
                     "env": ENVIRONMENT, "capture-output": True}
        if stdin is not None:
            arguments["input-data"] = base64.b64encode(stdin).decode()
        pid = self.ask("guest-exec", arguments)["pid"]
        begin = time.monotonic()
        # `timeout` keeps the deadline; this one is for a machine that hangs.
        end = begin + deadline + 20
        while True:
            status = self.ask("guest-exec-status", {"pid": pid})
            if status["exited"]:
                break
            if time.monotonic() > end:
                raise Timeout(f"`{command}` did not end within {deadline} s, and could not be ended")
            time.sleep(min(max(POLL, (time.monotonic() - begin) / 10), POLL_MOST))
        result = Result(command, status.get("exitcode", 128 + status.get("signal", 0)),
                        _text(status, "out-data"), _text(status, "err-data"))
        if result.exit in (124, 137):
            raise Timeout(f"within {deadline} s: {result}")
        return result

    def read(self, path):
        """The bytes of a file in the machine."""
        handle = self.ask("guest-file-open", {"path": path, "mode": "r"})
        data, end = b"", False
        while not end:
            part = self.ask("guest-file-read", {"handle": handle, "count": 1 << 20})
            data += base64.b64decode(part["buf-b64"])
            end = part["eof"]
        self.ask("guest-file-close", {"handle": handle})
        return data

    def ask(self, name, arguments=None, seconds=30):
        self._send(b"", {"execute": name, "arguments": arguments or {}})
        answer = self._receive(seconds)
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error']['desc']}")
        return answer["return"]

    def _send(self, prefix, message):
        self._socket.sendall(prefix + json.dumps(message).encode() + b"\n")

    def _receive(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = self._socket.recv(65536)
            except socket.timeout:
                raise Timeout(f"the machine's agent did not answer within {seconds} s") from None
            if not data:
                raise RuntimeError("the machine is gone")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            return json.loads(line.strip(b"\xff"))
        except ValueError:
            return {}


def _text(status, key):
    return base64.b64decode(status.get(key, "")).decode(errors="replace")
