# SPDX-License-Identifier: LGPL-2.1-or-later
"""A screenshot's pixels. Reads the PNG files that QEMU writes, and no others: 8 bits, RGB, not interlaced."""
import collections
import struct
import zlib


class Picture:
    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.width, self.height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
        if (depth, kind, interlace) != (8, 2, 0):
            raise ValueError(f"{path}: not a picture as QEMU writes them")
        self._colours = collections.Counter(_pixels(_pixel_data(data), self.width, self.height))

    @property
    def size(self):
        return self.width, self.height

    def share(self, colour):
        """How much of the picture has this colour (0 to 1)."""
        return self._colours[colour] / (self.width * self.height)


def _pixel_data(data):
    position, packed = 8, b""
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position:position + 8])
        if kind == b"IDAT":
            packed += data[position + 8:position + 8 + length]
        position += 12 + length
    return zlib.decompress(packed)


def _pixels(raw, width, height):
    stride = 3 * width
    above = bytearray(stride)
    for row in range(height):
        begin = row * (stride + 1)
        line = bytearray(raw[begin + 1:begin + 1 + stride])
        _undo_filter(raw[begin], line, above)
        yield from zip(line[0::3], line[1::3], line[2::3])
        above = line


def _undo_filter(kind, line, above):
    if kind == 0:
        return
    for i, value in enumerate(line):
        left = line[i - 3] if i >= 3 else 0
        corner = above[i - 3] if i >= 3 else 0
        add = {1: left, 2: above[i], 3: (left + above[i]) // 2, 4: _paeth(left, above[i], corner)}[kind]
        line[i] = (value + add) & 0xff


def _paeth(left, up, corner):
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
