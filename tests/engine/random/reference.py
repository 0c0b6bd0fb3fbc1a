"""The streams of engine/random written a second time, from the documentation alone.

Prints one line a stream: name, then words, floats (hex) and normals (hex). The normals use
Python's own inverse normal distribution, another implementation of AS 241.
"""

import statistics
import struct
import sys

MASK = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def halves(value):
    return value & MASK, value >> 32


def absorb(identity, value):
    return philox([*halves(value), identity[2], identity[3]], identity[:2])


def of_indices(seed, domain, indices):
    identity = philox([domain, len(indices), 0, 0], halves(seed))
    for index in indices:
        identity = absorb(identity, index)
    return identity


def of_name(seed, domain, name):
    identity = philox([domain, 0, 1, 0], halves(seed))
    identity = absorb(identity, len(name))
    for at in range(0, len(name), 8):
        identity = absorb(identity, int.from_bytes(name[at:at + 8], "little"))
    return identity


def words(identity, count):
    out = []
    block = 0
    while len(out) < count:
        out += philox([*halves(block), identity[2], identity[3]], identity[:2])
        block += 1
    return out[:count]


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def show(name, identity, count):
    drawn = words(identity, count)
    normal = statistics.NormalDist()
    fields = [name]
    fields += ["%08x" % word for word in drawn]
    fields += [float.hex((word >> 8) * 2.0**-24) for word in drawn]
    fields += [float.hex(float32(normal.inv_cdf((word + 0.5) * 2.0**-32))) for word in drawn]
    print(" ".join(fields))


count = int(sys.argv[1])
show("order", of_indices(1337, 2, [0]), count)
show("augmentation", of_indices(2**64 - 1, 3, [7, 2**63 + 5, 1]), count)
show("weights", of_name(42, 1, b"backbone.blocks.3.attn.qkv.weight"), count)
show("empty", of_name(0, 1, b""), count)
