"""The tensor digest, written down a second time from docs/ledger-format.md.

Usage: reference_digest.py NAME DTYPE SHAPE BYTES SEED
Prints the digest of BYTES bytes of the test sequence with SEED. SHAPE: 2,3 or "" for a scalar.
"""

import hashlib
import struct
import sys

M64 = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15
LEAF = 65536


def mix64(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def leaf_node(data):
    lanes = [0] * 8
    padded = data + bytes(-len(data) % 8)
    for i, (word,) in enumerate(struct.iter_unpack("<Q", padded)):
        stripe, lane = divmod(i, 8)
        v = word ^ ((mix64(((lane + 1) * STEP) & M64) + stripe * STEP) & M64)
        lanes[lane] = (lanes[lane] + (v & 0xFFFFFFFF) * (v >> 32)) & M64
        lanes[lane ^ 1] = (lanes[lane ^ 1] + word) & M64
    a, b = 0x243F6A8885A308D3, 0x13198A2E03707344
    for total in lanes:
        a = mix64(a ^ total)
        b = mix64((b + total) & M64)
    return a, b


def join(left, right):
    a = mix64(mix64((left[0] + 0xA4093822299F31D0) & M64) ^ right[0])
    b = mix64(mix64((left[1] + 0x082EFA98EC4E6C89) & M64) ^ right[1])
    return (a + mix64(b)) & M64, b ^ mix64(a)


def root(data):
    nodes = [leaf_node(data[i : i + LEAF]) for i in range(0, len(data), LEAF)]
    while len(nodes) > 1:
        pairs = [join(nodes[i], nodes[i + 1]) for i in range(0, len(nodes) - 1, 2)]
        nodes = pairs + (nodes[-1:] if len(nodes) % 2 else [])
    return nodes[0] if nodes else (0, 0)


def digest(name, dtype, shape, data):
    a, b = root(data)
    text = b"reprise tensor digest 1\n"
    text += struct.pack("<Q", len(name)) + name.encode() + dtype.encode() + b"\n"
    text += struct.pack("<Q", len(shape)) + b"".join(struct.pack("<q", n) for n in shape)
    text += struct.pack("<QQQ", len(data), a, b)
    return hashlib.sha256(text).hexdigest()[:32]


def sequence(size, seed):
    words = (mix64((seed + i * STEP) & M64) for i in range((size + 7) // 8))
    return b"".join(struct.pack("<Q", w) for w in words)[:size]


if __name__ == "__main__":
    name, dtype, shape, size, seed = sys.argv[1:]
    extents = [int(n) for n in shape.split(",")] if shape else []
    print(digest(name, dtype, extents, sequence(int(size), int(seed))))
