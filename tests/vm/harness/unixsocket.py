# SPDX-License-Identifier: LGPL-2.1-or-later
"""A connection to a socket that another process is about to make."""
import socket
import time


def connect(path, seconds, still_there=lambda: True):
    end = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            return connection
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            if time.monotonic() > end or not still_there():
                raise RuntimeError(f"nobody answers at {path}") from error
        time.sleep(0.05)
