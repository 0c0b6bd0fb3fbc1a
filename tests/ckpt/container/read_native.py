"""A reader of native checkpoints made from docs/checkpoint-format.md alone.

read_native.py FILE: checks what the document says a reader must check, then prints a line for each
tensor: name, element type, shape, SHA-256 of the values; and last the document's tree, simplified.
"""

import hashlib
import json
import struct
import sys

CHUNK = 1 << 24
SIZES = {"bool": 1, "float16": 2, "bfloat16": 2, "complex32": 4, "complex64": 8, "complex128": 16,
         "float32": 4, "float64": 8, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
         "uint64": 8, "qint32": 4, "bits16": 2}


def sha(data):
    return hashlib.sha256(data).digest()


def simplify(value):
    """The manifest's value with dicts as Python dicts, for text keys."""
    if not isinstance(value, dict):
        return value
    words = [w for w in value if w not in ("id", "state", "factory")]
    word, body = words[0], value[words[0]]
    if word in ("dict", "ordered_dict", "defaultdict", "counter", "namespace"):
        return {str(simplify(k)): simplify(v) for k, v in body}
    if word in ("list", "tuple"):
        return [simplify(v) for v in body]
    if word == "float":
        return body
    if word == "tensor":
        return f"tensor {body}"
    return {word: "..."}


def main():
    data = open(sys.argv[1], "rb").read()
    block = data[:4096]
    assert block[:8] == b"REPRISE\n" and sha(block[:4064]) == block[4064:]
    version, oldest, features, size, d = struct.unpack_from("<IIQQQ", block, 8)
    assert (oldest, features, size) == (1, 0, len(data)) and size % 4096 == 0
    sections = []
    end = 4096
    for at in (40, 88, 136):
        offset, length = struct.unpack_from("<QQ", block, at)
        assert end <= offset < end + 4096 and not any(data[end:offset])
        section = data[offset:offset + length]
        assert sha(section) == block[at + 16:at + 48]
        sections.append(section)
        end = offset + length
    assert d == (end + 4095) // 4096 * 4096 and not any(data[end:d])
    records, extents, chunks, names_bytes = struct.unpack_from("<QQQQ", block, 184)
    assert not any(block[216:4064])

    _, table, manifest = sections
    assert len(table) == 88 * records + 8 * extents + 32 * chunks + names_bytes
    shapes = struct.unpack_from(f"<{extents}q", table, 88 * records)
    digests = table[88 * records + 8 * extents:][:32 * chunks]
    names = table[88 * records + 8 * extents + 32 * chunks:]
    used = []
    for i in range(records):
        name_at, name_length, shape_at, rank, flags, offset, length, chunk_at, count, dtype, digest = struct.unpack_from(
            "<IIIHHQQII16s32s", table, 88 * i)
        name = names[name_at:name_at + name_length].decode()
        shape = shapes[shape_at:shape_at + rank]
        dtype = dtype.rstrip(b"\0").decode()
        values = data[offset:offset + length]
        elements = 1
        for extent in shape:
            elements *= extent
        assert flags == 0 and offset % 64 == 0 and length == elements * SIZES.get(dtype, 1)
        assert sha(values) == digest and (offset >= d)
        assert count == (-(-length // CHUNK) if length > CHUNK else 0)
        for c in range(count):
            assert sha(values[c * CHUNK:(c + 1) * CHUNK]) == digests[32 * (chunk_at + c):][:32]
        used.append((offset, offset + length))
        print(name, dtype, ",".join(map(str, shape)), digest.hex())
    place = d
    for begin, end in sorted(set(u for u in used if u[0] < u[1])):
        assert begin >= place and not any(data[place:begin])
        place = end
    assert not any(data[place:])
    print(json.dumps(simplify(json.loads(manifest)), ensure_ascii=False))


main()
