"""Archives that lie: duplicate names, names that leave the archive, bombs, headers that disagree, checksums that
differ, truncation, formats at once. Each is refused with exit 12 by every command that reads it, soon and in
little memory, and the message names the file and what is wrong.

Usage: hostile_archives_test.py MIGRATE CKPT
"""

import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile

SECONDS, MEBIBYTES = 4, 64


def archive(entries, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of duplicate names, and writes them
        with zipfile.ZipFile(out, "w", compression) as file:
            for name, data in entries:
                file.writestr(name, data)
    return out.getvalue()


def saved(zipped=True):
    import torch

    out = io.BytesIO()
    torch.save({"model": {"weight": torch.arange(4.0)}}, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return [(info.filename, file.read(info)) for info in file.infolist()]


def patched(data, name, field, value):
    """One field of the local header of an entry, by its offset in the header."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        at = next(info.header_offset for info in file.infolist() if info.filename.endswith(name))
    return data[: at + field] + value + data[at + field + len(value) :]


def hostile():
    """By name: what is wrong, a word of what has to be said about it, and the bytes."""
    good = saved()
    entries = entries_of(good)
    root = entries[0][0].split("/")[0]
    tensor = f"{root}/data/0"
    other = [(name, data) for name, data in entries if name != tensor]
    yield "duplicate", "twice", archive([*entries, (tensor, struct.pack("<4f", 9, 9, 9, 9))])
    yield "duplicate-pickle", "twice", archive([*entries, (f"{root}/data.pkl", pickle.dumps(1, 2))])
    for name in ("../../etc/cron.d/x", "/etc/cron.d/x", f"{root}/../../x", f"{root}\\x", f"{root}//x", f"{root}/./x", "C:/x"):
        yield f"name-{name.replace('/', '_')}", "", archive([*entries, (name, b"x")])
    yield "two-roots", "", archive([*entries, ("another/data.pkl", pickle.dumps(1, 2))])
    yield "bomb", "bomb", archive([*other, (tensor, bytes(400 << 20))], zipfile.ZIP_DEFLATED)
    yield "storage-too-small", "", archive([*other, (tensor, bytes(12))])
    yield "storage-too-large", "", archive([*other, (tensor, bytes(20))])
    yield "storage-missing", "", archive(other)
    data = good.index(struct.pack("<4f", 0, 1, 2, 3))
    yield "crc-of-a-tensor", "CRC-32", good[:data] + b"\x01" + good[data + 1 :]
    at = good.index(b"weight")
    yield "crc-of-the-pickle", "CRC-32", good[:at] + b"W" + good[at + 1 :]
    for field, offset, value in (("flags", 6, b"\x01\0"), ("method", 8, b"\x08\0"), ("crc", 14, b"\1\2\3\4"),
                                 ("stored", 18, b"\x08\0\0\0"), ("size", 22, b"\x08\0\0\0"), ("name", 30, b"Q")):
        for entry in ("data.pkl", "data/0"):
            yield f"local-{field}-{entry.replace('/', '_')}", "", patched(archive(entries), entry, offset, value)
    yield "in-front", "", b"#!/bin/sh\n" + good
    yield "behind", "", good + b"more"
    yield "two-formats", "same time", struct.pack("<Q", 2) + b"{}" + good
    legacy = saved(zipped=False)
    yield "legacy-and-zip", "", legacy + good
    yield "legacy-longer", "", legacy + b"more"
    for cut in (0.1, 0.5, 0.9, 0.999):
        yield f"cut-{cut}", "", good[: int(len(good) * cut)]
        yield f"legacy-cut-{cut}", "", legacy[: int(len(legacy) * cut)]


def make(folder):
    (folder / "good.pth").write_bytes(saved())
    words = {}
    for what, word, data in hostile():
        (folder / f"{what}.pth").write_bytes(data)
        words[what] = word
    (folder / "words.json").write_text(json.dumps(words))


def run(command):
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, err = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, out, err, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    migrate, ckpt = (pathlib.Path(path).resolve() for path in sys.argv[1:])
    failed, checked = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        # Elsewhere: a process is charged with what its parent held when it was started.
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        assert run([ckpt, "tree", "--json", folder / "good.pth"])[0] == 0
        for what, word in json.loads((folder / "words.json").read_text()).items():
            path = folder / f"{what}.pth"
            commands = [[ckpt, "tree", "--json"], [ckpt, "stats"], [ckpt, "convert"], [migrate, "--json", "-o", folder / "out"]]
            for command in commands:
                more = [folder / "converted.h5"] if command[1] == "convert" else []
                code, out, err, seconds, mebibytes = run([*command, path, *more])
                said = err
                if command[0] == migrate:
                    file = json.loads(out)["files"][0]
                    code, said = (file["exit_code"], file["error"]) if code == 1 else (f"migrate {code}", "")
                checked += 1
                if code not in (12, 14) or path.name not in said or word not in said or seconds > SECONDS or mebibytes > MEBIBYTES:
                    failed.append(f"{what}: {command[0].name} {command[1]}: exit {code}, {seconds:.1f} s, {mebibytes:.0f} MiB: {said}")
        # Nobody is told that all is well in what could not be looked into.
        for what in ("duplicate", "cut-0.5", "bomb"):
            assert run([ckpt, "scan", folder / f"{what}.pth"])[0] == 12, what
        # What cannot be read does not keep the others from being looked into.
        code, out, *_ = run([ckpt, "scan", "--json", folder / "none.pth", folder, folder / "good.pth"])
        assert code == 10 and "_rebuild_tensor_v2" in out and out.count('"path"') == 3, (code, out)
        assert not (folder / "converted.h5").exists()
        assert not list(folder.glob("out/*")), "something was published"
    print("\n".join(failed) or f"{checked} runs")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(pathlib.Path(sys.argv[2]))
    else:
        main()
