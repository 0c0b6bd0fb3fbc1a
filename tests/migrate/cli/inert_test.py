"""Nothing is executed, imported, resolved or opened because a file says so: the system calls of ckpt
and migrate on files that take over a Python loader, seen from outside by strace.

Usage: inert_test.py MIGRATE CKPT
"""

import collections
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import zipfile

import h5py
import torch

# What a process can do to anything but the files it was given.
CALLS = "execve,execveat,fork,vfork,clone,clone3,open,openat,openat2,creat,socket,connect,bind,unlink,unlinkat," \
    "rename,renameat,renameat2,mkdir,mkdirat,symlink,symlinkat,link,linkat,chmod,fchmodat,kill,ptrace,memfd_create"


class Call:
    """Pickled as a call that Python makes while it loads."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


def hostile_pickles(marker):
    """By name: pickles that make `marker` when Python loads them, and ones that reach out in other ways."""
    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    make = {
        "os.system": Call(os.system, touch),
        "subprocess": Call(subprocess.Popen, ["touch", str(marker)]),
        "exec": Call(exec, code),
        "eval": Call(eval, code),
        "import": Call(exec, f"import importlib; importlib.import_module('os').system({touch!r})"),
        "open": Call(open, str(marker), "w"),
        "in the optimizer": {"version": 4, "model": {"w": torch.zeros(2)}, "optimizer": Call(os.system, touch)},
        "as a key": {"version": 4, (1, Call(os.system, touch)): 2},
    }
    pickles = {name: pickle.dumps(value, protocol=2) for name, value in make.items()}
    # The oldest opcodes reach functions without a reduce.
    pickles["INST"] = f"(S'{touch}'\nios\nsystem\n.".encode()
    pickles["OBJ"] = f"(cos\nsystem\nS'{touch}'\no.".encode()
    pickles["BUILD"] = b"cos\nsystem\n(S'" + touch.encode() + b"'\ntR}(S'__class__'\ncbuiltins\neval\nub."
    pickles["persistent id"] = b"P/etc/passwd\n."
    pickles["extension"] = b"\x80\x02\x82\x01."
    return pickles


def write_zip(path, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")


def trace(command, folder):
    """The calls of a command and its threads, as (call, first path or flags)."""
    log = folder / "calls.txt"
    result = subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", f"trace={CALLS}", *map(str, command)],
                            capture_output=True, text=True, cwd=folder)
    assert log.exists(), result.stderr
    calls = []
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if match:
            calls.append(match.groups())
    return result, calls


def paths_in(text):
    return re.findall(r'"((?:[^"\\]|\\.)*)"', text)


def check(command, folder, given, usual):
    """`usual`: the paths that the same command uses on a harmless file."""
    result, calls = trace(command, folder)
    assert result.returncode in (0, 1, 10, 12, 13, 14), f"{command}: exit {result.returncode}\n{result.stderr}"
    started = [text for call, text in calls if call.startswith("execve")]
    assert len(started) == 1 and str(command[0]) in started[0], (command, started)
    for call, text in calls:
        where = f"{' '.join(map(str, command))}: {call}({text}"
        if call.startswith("clone"):
            assert "CLONE_THREAD" in text, where
        elif call in ("fork", "vfork", "socket", "connect", "bind", "kill", "ptrace", "execveat"):
            raise AssertionError(where)
        elif not call.startswith("execve") and call != "memfd_create":
            for path in paths_in(text):
                assert path in usual or (folder / path).resolve().is_relative_to(given), where
    return result


def main():
    migrate, ckpt = (pathlib.Path(p).resolve() for p in sys.argv[1:])
    probe = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        print(f"skipped: strace may not trace here: {probe.stderr.strip()}")
        sys.exit(77)
    counted = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        marker = folder / "outside" / "taken-over"
        marker.parent.mkdir()
        given = folder / "given"
        given.mkdir()
        files = []
        for kind, data in hostile_pickles(marker).items():
            plain, packed = given / f"{kind}.pth".replace(" ", "-"), given / f"{kind}-zip.pth".replace(" ", "-")
            plain.write_bytes(data)
            write_zip(packed, data)
            files += [plain, packed]
            # The danger is real: Python's own loader does it.
            subprocess.run([sys.executable, "-c", "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))", plain],
                           capture_output=True)
            if marker.exists():
                counted["taken over"] += 1
                marker.unlink()
        with h5py.File(given / "links.h5", "w") as file:
            file["weight"] = h5py.ExternalLink("/etc/passwd", "/")
        files.append(given / "links.h5")
        with zipfile.ZipFile(given / "paths.pth", "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"w": 1}, protocol=2))
            archive.writestr("archive/../../outside/taken-over", "x")
            archive.writestr("/etc/cron.d/taken-over", "x")
        files.append(given / "paths.pth")
        assert counted["taken over"] >= 10, counted

        commands = [[ckpt, "tree"], [ckpt, "scan"], [ckpt, "ls"], [ckpt, "show"],
                    [migrate, "-o", given / "out"], [migrate, "--plan"]]
        harmless = given / "harmless.pth"
        torch.save({"weight": torch.zeros(3)}, harmless)
        usual = [{path for _, text in trace([*command, harmless], folder)[1] for path in paths_in(text)}
                 for command in commands]
        for path in files:
            for begin, paths in zip(commands, usual):
                command = [*begin, path]
                result = check(command, folder, given, paths)
                counted[f"exit {result.returncode}"] += 1
                assert not marker.exists(), command
            # Whoever asks is told.
            if path.suffix == ".pth" and path.name.startswith(("os.system", "subprocess", "exec", "eval", "open")):
                said = subprocess.run([ckpt, "scan", path], capture_output=True, text=True)
                assert said.returncode == 1 and "dangerous" in said.stdout, (path, said.stdout, said.stderr)
    print(dict(counted))


if __name__ == "__main__":
    main()
