# SPDX-License-Identifier: LGPL-2.1-or-later
"""A person's terminal on the machine's second serial port."""
import os
import select
import sys
import termios
import tty

from . import unixsocket

LEAVE = b"\x1d"  # Control-]


def attach(path):
    """Until the person leaves, or the machine ends."""
    connection = unixsocket.connect(path, 5)
    print("The machine's shell. Control-] leaves it, and ends the machine.", flush=True)
    connection.sendall(b"\n")
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        while True:
            readable, _, _ = select.select([sys.stdin, connection], [], [])
            if connection in readable:
                data = connection.recv(65536)
                if not data:
                    return
                os.write(sys.stdout.fileno(), data)
            if sys.stdin in readable:
                data = os.read(sys.stdin.fileno(), 1024)
                if not data or LEAVE in data:
                    return
                connection.sendall(data)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        connection.close()
