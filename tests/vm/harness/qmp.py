# SPDX-License-Identifier: LGPL-2.1-or-later
"""The outer QEMU's own monitor: pictures and power."""
import json


class Qmp:
    def __init__(self, connection):
        self._socket = connection
        self._socket.settimeout(60)
        self._stream = self._socket.makefile("rwb")
        self._read()
        self.ask("qmp_capabilities")

    def close(self):
        self._stream.close()
        self._socket.close()

    def ask(self, name, **arguments):
        message = {"execute": name, "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}}
        self._stream.write(json.dumps(message).encode() + b"\n")
        self._stream.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise RuntimeError(f"QEMU's monitor, {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def _read(self):
        line = self._stream.readline()
        if not line:
            raise RuntimeError("QEMU is gone")
        return json.loads(line)
