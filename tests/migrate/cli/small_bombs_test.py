"""Small files that hold little and refer to it again and again: whatever ckpt and migrate do with them
takes no more than 64 MiB and about a second, whether they are accepted or refused.

Found by hand: a list of ten lists of ten lists ... made `ckpt tree` print gigabytes; as a configuration it took
a gigabyte and minutes, because JSON objects were copied on each level; 80,000 unknown keys were looked for in one
another; bytes and long integers were written out each time they occurred.

Usage: small_bombs_test.py MIGRATE CKPT
"""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile

# One second is promised; the machine that runs this may be busy.
SECONDS, MEBIBYTES, OUTPUT = 6, 64, 256 << 20


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


TENSOR = (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") +
          text("cpu") + b"K\x04tQK\0(K\x04t(K\x01t\x89ccollections\nOrderedDict\n)RtR")
WEIGHTS = b"}(" + text("w") + TENSOR + b"u"


def plain(more):
    return b"\x80\x02}(" + text("model") + WEIGHTS + more + b"u."


def version4(more):
    fields = {"type": "dino", "uuid": "5f0c3a52-2b0e-4d5e-9d7c-6f1f1d0a7b11", "arch": "vit_tiny"}
    own = b"".join(text(k) + text(v) for k, v in fields.items())
    return (b"\x80\x02}(" + text("version") + b"K\x04" + text("epoch") + b"K\x01" + own + text("student") + WEIGHTS + more +
            b"u.")


def laughs(kind, width, levels):
    """Each level holds the one below so many times."""
    first = {"list": b"]", "dict": b"}", "tuple": b"N\x85", "object": b"cfoo\nBar\n)R"}[kind]
    pickle = first + b"q\0"
    for level in range(levels):
        below = b"h" + bytes([level])
        pickle += b"0" + {
            "list": b"](" + below * width + b"e",
            "dict": b"}(" + b"".join(text(f"k{i}") + below for i in range(width)) + b"u",
            "tuple": b"(" + below * width + b"t",
            "object": b"cfoo\nBar\n(" + below * width + b"tR",
        }[kind] + b"q" + bytes([level + 1])
    return pickle


def again(item, times):
    """An item, and a list that refers to it so many times."""
    return text("once") + item + b"q\x09" + text("again") + b"](" + b"h\x09" * times + b"e"


def bombs():
    for kind in ("list", "dict", "tuple", "object"):
        for width, levels in ((2, 40), (10, 100), (2, 200)):
            for key in ("config", "unknown", "optimizer"):
                yield f"{kind}-{width}-{levels}-{key}", plain(text(key) + laughs(kind, width, levels))
            yield f"{kind}-{width}-{levels}-v4", version4(text("config") + laughs(kind, width, levels))
    long = b"a" * 500_000
    yield "text", plain(again(b"X" + struct.pack("<I", len(long)) + long, 200_000))
    yield "bytes", plain(again(b"B" + struct.pack("<I", len(long)) + long, 200_000))
    yield "bytearray", plain(again(b"\x96" + struct.pack("<Q", len(long)) + long, 200_000))
    yield "integer", plain(again(b"\x8b" + struct.pack("<i", 4000) + b"\x7f" * 4000, 200_000))
    yield "global", plain(again(b"cfoo\n" + long + b"\n", 200_000))
    yield "objects", plain(text("x") + b"cfoo\n" + long + b"\nq\x07" + text("y") + b"](" + b"h\x07)R" * 20_000 + b"e")
    yield "tensor", plain(again(TENSOR, 200_000))
    yield "keys", b"\x80\x02}(" + text("model") + WEIGHTS + b"".join(text(f"{i:06}") + b"N" for i in range(50_000)) + b"u."
    yield "numbers", b"\x80\x02}(" + text("model") + WEIGHTS + b"".join(
        b"J" + struct.pack("<i", i) + b"N" for i in range(50_000)) + b"u."
    # Keys that are different objects and have one name.
    yield "names", b"\x80\x02}(" + text("model") + WEIGHTS + b"cfoo\nB\nq\x07N" + b"h\x07)RN" * 20_000 + b"u."
    yield "config keys", plain(text("config") + b"}(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(90_000)) +
                               b"u")


def run(command):
    """Exit code, bytes on stdout, seconds and mebibytes of a command that is ended when it takes too much."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        ended = threading.Timer(10 * SECONDS, process.kill)
        ended.start()
        written = 0
        while piece := process.stdout.read1(1 << 20):
            written += len(piece)
            if written > OUTPUT:
                process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        ended.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    # Of its own: while others have the machine, it waits.
    return process.returncode, written, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    migrate, ckpt = (pathlib.Path(path).resolve() for path in sys.argv[1:])
    failed, checked = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        path, out = folder / "bomb.pth", folder / "out"
        commands = [[ckpt, "tree"], [ckpt, "tree", "--json"], [ckpt, "show"], [ckpt, "ls"], [migrate, "--plan"],
                    [migrate, "-o", out], [migrate, "--to", "pth", "-o", out]]
        for bomb, pickle in bombs():
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", pickle)
                archive.writestr("archive/data/0", struct.pack("<4f", 1, 2, 3, 4))
            for command in commands:
                shutil.rmtree(out, ignore_errors=True)
                code, written, seconds, mebibytes = run([*command, path])
                checked += 1
                if code not in (0, 1, 12, 13) or written > OUTPUT or seconds > SECONDS or mebibytes > MEBIBYTES:
                    failed.append(f"{bomb} ({path.stat().st_size} bytes): {command[0].name} {' '.join(map(str, command[1:]))}: "
                                  f"exit {code}, {seconds:.1f} s, {mebibytes:.0f} MiB, {written} bytes written")
    print("\n".join(failed) or f"{checked} runs")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
