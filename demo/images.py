#!/usr/bin/env python3
"""Writes a small folder of PNG images in two classes, or changes one of them:

images.py DIR            24 images: left/00.png ... right/11.png
images.py DIR --change left/05.png
"""

import pathlib
import struct
import sys
import zlib

SIDE = 16


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixel):
    """An RGB image whose colours pixel(x, y) gives."""
    rows = b"".join(b"\0" + bytes(c for x in range(SIDE) for c in pixel(x, y)) for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def scene(side, number):
    """A bright half on one side, and a texture of its own."""
    def pixel(x, y):
        bright = 160 if (x < SIDE // 2) == (side == "left") else 40
        grain = (x * 7 + y * 13 + number * 29) % 60
        return bright + grain, bright + grain // 2, (number * 20) % 256
    return png(pixel)


def main():
    root = pathlib.Path(sys.argv[1])
    if sys.argv[2:3] == ["--change"]:
        image = root / sys.argv[3]
        image.write_bytes(png(lambda x, y: (255 - x * 9, y * 9, 128)))
        return
    for side in ("left", "right"):
        (root / side).mkdir(parents=True, exist_ok=True)
        for number in range(12):
            (root / side / f"{number:02}.png").write_bytes(scene(side, number))


if __name__ == "__main__":
    main()
