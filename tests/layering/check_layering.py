#!/usr/bin/env python3
"""Checks the architecture by reading #include lines: check_layering.py ROOT

Prints one line for each violation and exits 1 when there is any. The rules and the table of rooms
are those of docs/architecture.md; a new room is added here and there in the same commit.
"""

import os
import re
import sys

# Room -> rooms it may use directly; what those use follows. Lowest first: a room may only name rooms
# that stand before it, so the table cannot hold a cycle.
ROOMS = {
    "ckpt/base": [],
    "ckpt/state": ["ckpt/base"],
    "ckpt/pickle": ["ckpt/state"],
    "ckpt/container": ["ckpt/pickle"],
    "migrate/steps": ["ckpt/state"],
    "ckpt/store": ["ckpt/container", "migrate/steps"],
    "ckpt/cli": ["ckpt/store"],
    "migrate/cli": ["ckpt/store"],
    "repro/fingerprint": ["ckpt/store"],
    "repro/snapshot": ["repro/fingerprint"],
    "repro/ledger": ["ckpt/store"],
    "repro/audit": ["repro/snapshot", "repro/ledger"],
    "repro/attest": ["ckpt/store"],
    "repro/report": ["repro/audit", "repro/attest"],
    "repro/tensorboard": ["ckpt/base"],
    "repro/export": ["repro/report"],
    "repro/cli": ["repro/export"],
    "engine/random": ["ckpt/base"],
    "engine/data": ["engine/random", "ckpt/state"],
    "engine": ["engine/data", "ckpt/store", "repro/ledger", "repro/snapshot"],
    # Evaluation offline is evaluation as training does it, from the same configuration.
    "experiment": ["engine"],
    "train": ["experiment", "repro/tensorboard"],
    "eval": ["experiment"],
}
TORCH_ROOMS = {"engine", "experiment", "train", "eval"}
# May use every room and every library: nothing is built on top of them.
FREE = {"tests", "bench"}
# Folders without rooms.
IGNORED = {"build", "cmake", "docs", "demo", "scripts", "runs"}

TORCH = re.compile(
    r"(torch|c10|ATen|caffe2|gloo|thrust|cub)/|(cuda|cudnn|cublas|curand|nccl|nvrtc|nvml)\w*\.h")
# Library -> its headers. Each is wrapped by one .cpp: its handles, its errors and its compile time
# stay there.
WRAPPED = {
    "HDF5": re.compile(r"(hdf5|H5\w*)\.h$"),
    "libzip": re.compile(r"zip(conf)?\.h$"),
    "libgit2": re.compile(r"git2(\.h$|/)"),
    "JPEG": re.compile(r"(turbojpeg|jpeglib)\.h$"),
    "libpng": re.compile(r"png\.h$"),
    "toml++": re.compile(r"toml\+\+/|toml\.hpp$"),
    "CLI11": re.compile(r"CLI/|CLI11\.hpp$"),
    "Gloo": re.compile(r"gloo/|torch/csrc/distributed/c10d/ProcessGroupGloo"),
    "NCCL": re.compile(r"nccl\.h$|torch/csrc/distributed/c10d/ProcessGroupNCCL"),
}

SOURCE = re.compile(r"\.(h|hpp|cpp|cc|cu|cuh)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def allowed_rooms():
    """Room -> every room it may include, itself among them."""
    closure = {}
    for room, uses in ROOMS.items():
        closure[room] = {room}.union(*(closure[used] for used in uses))
    return closure


def room_of(path):
    """The room of a path below the root, or None."""
    parts = path.split("/")
    for depth in (2, 1):
        if "/".join(parts[:depth]) in ROOMS and len(parts) > depth:
            return "/".join(parts[:depth])
    return None


def source_files(root):
    for folder, folders, files in os.walk(root):
        relative = os.path.relpath(folder, root)
        if relative == ".":
            folders[:] = [f for f in folders if f not in IGNORED and not f.startswith(".")]
        folders.sort()
        for name in sorted(files):
            yield os.path.normpath(os.path.join(relative, name)).replace(os.sep, "/")


def check(root):
    """Violations of the tree below `root`, as text."""
    allowed = allowed_rooms()
    violations = []
    wrappers = {library: {} for library in WRAPPED}

    for path in source_files(root):
        free = path.split("/")[0] in FREE
        room = room_of(path)
        if os.path.basename(path) == "CMakeLists.txt" and room and room not in TORCH_ROOMS:
            with open(os.path.join(root, path), encoding="utf-8") as file:
                if re.search(r"\bTORCH\b|reprise::(torch|gloo)", file.read()):
                    violations.append(f"{path}: {room} is built without LibTorch, but links it")
        if not SOURCE.search(path):
            continue
        if not free and room is None:
            violations.append(f"{path}: in no room; rooms are listed in docs/architecture.md "
                              "and tests/layering/check_layering.py")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            lines = file.read().splitlines()
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            place = f"{path}:{number}"
            quoted, header = match.group(1) == '"', match.group(2)
            if quoted and not os.path.exists(os.path.join(root, header)):
                violations.append(f'{place}: "{header}" is not a path from the repository root')
                continue
            if free:
                continue
            if not quoted and room_of(header) and os.path.exists(os.path.join(root, header)):
                violations.append(f'{place}: write "{header}", in quotes: it is ours')
            target = room_of(header)
            if quoted and target is None:
                violations.append(f'{place}: {room} uses "{header}", which is in no room')
            elif quoted and target not in allowed[room]:
                violations.append(f"{place}: {room} may not use {target}")
            kernel = path.endswith(".cu")  # reached through a header without CUDA, built on request
            if not quoted and not kernel and room not in TORCH_ROOMS and TORCH.match(header):
                violations.append(f"{place}: {room} is built without LibTorch and CUDA, "
                                  f"but includes <{header}>")
            for library, pattern in WRAPPED.items():
                if not quoted and pattern.match(header):
                    wrappers[library].setdefault(path, place)

    for library, places in wrappers.items():
        for path, place in places.items():
            if re.search(r"\.(h|hpp|cuh)$", path):
                violations.append(f"{place}: a header includes {library}; only one .cpp may")
        if len(places) > 1:
            violations.append(f"{library} is included by {len(places)} files, only one may: "
                              + ", ".join(places.values()))
    return violations


def main():
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        print("usage: check_layering.py ROOT", file=sys.stderr)
        return 2
    violations = check(sys.argv[1])
    print("\n".join(violations) if violations else "layering: every include is allowed")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
