#!/usr/bin/env python3
"""Migrating, side by side with Python: one file of 1 GB with a pickled optimizer, and 1,000 small ones.

Python's side does torch.load, optimizer.state_dict(), h5py and fsync, and verifies nothing;
ours reads the result back and compares every tensor.
"""

import itertools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, binary, scratch, vit_state  # noqa: E402

SMALL_FILES = 1000


def v4(model, optimizer):
    return {"version": 4, "type": "model", "epoch": 3, "uuid": "0b1cf9a0-6e8f-4a46-9b8a-2d1c33a1c001", "arch": "vit_base",
            "config": {"lr": 1e-3}, "metrics": {}, "optimizer": optimizer, "model": model}


def large_file(path):
    """A v4 checkpoint with the optimizer object itself, as that version pickled it."""
    import torch

    parameters = {k: torch.nn.Parameter(v) for k, v in vit_state()["model"].items()}
    optimizer = torch.optim.AdamW(parameters.values())
    for parameter in parameters.values():
        optimizer.state[parameter] = {"step": torch.tensor(1000.0), "exp_avg": torch.rand_like(parameter),
                                      "exp_avg_sq": torch.rand_like(parameter)}
    torch.save(v4({k: v.detach() for k, v in parameters.items()}, optimizer), path)


def small_files(folder):
    import torch

    for i in range(SMALL_FILES):
        net = torch.nn.Linear(16, 16)
        torch.save(v4(net.state_dict(), torch.optim.AdamW(net.parameters())), folder / f"{i:04}.pth")


def python_migrate(source, target):
    """What a careful person writes: load, state dict, h5py, fsync of file and folder."""
    import h5py
    import torch

    checkpoint = torch.load(source, map_location="cpu", weights_only=False)
    state = checkpoint["optimizer"].state_dict()
    temporary = target.with_suffix(".tmp")
    with h5py.File(temporary, "w") as file:
        for name, tensor in checkpoint["model"].items():
            file.create_dataset(f"model/{name}", data=tensor.numpy())
        for index, entries in state["state"].items():
            for name, tensor in entries.items():
                file.create_dataset(f"optimizer/state/{index}/{name}", data=tensor.numpy())
        file.attrs["param_groups"] = json.dumps(state["param_groups"])
        file.attrs["config"] = json.dumps(checkpoint["config"])
    descriptor = os.open(temporary, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(temporary, target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def python_compare(source, target):
    """The verification that ours does, too: the result from the disk against the source."""
    import h5py
    import numpy
    import torch

    with open(target, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    checkpoint = torch.load(source, map_location="cpu", weights_only=False)
    state = checkpoint["optimizer"].state_dict()["state"]
    with h5py.File(target) as file:
        same = all(numpy.array_equal(file[f"model/{name}"][()], tensor.numpy()) for name, tensor in checkpoint["model"].items())
        same &= all(numpy.array_equal(file[f"optimizer/state/{index}/{name}"][()], tensor.numpy())
                    for index, entries in state.items() for name, tensor in entries.items())
    assert same


def emptied(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(name, goal, ours, peer):
    ours_s, peer_s = [], []
    for _ in range(ROUNDS):
        ours_s.append(ours())
        peer_s.append(peer())
    a, b = statistics.median(ours_s), statistics.median(peer_s)
    print(f"{name}: ours {a:.3f} s, Python {b:.3f} s, ratio {b / a:.2f} x faster" + (f" (goal >= {goal})" if goal else ""))


def peak_mib(command):
    script = ("import os, subprocess, sys\np = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
              "print(os.wait4(p.pid, 0)[2].ru_maxrss)")
    return int(subprocess.run([sys.executable, "-c", script, *map(str, command)], capture_output=True, text=True, check=True).stdout) / 1024


def main():
    migrate, folder = binary("migrate"), scratch() / "migrate"
    emptied(folder)
    source, out = folder / "v4.pth", folder / "out"
    large_file(source)

    # A new folder each round: ext4 skips the inodes of files that were removed within the last
    # minute one by one, which would be most of what a thousand small files take on both sides.
    rounds = itertools.count()

    def fresh():
        folder = out / str(next(rounds))
        folder.mkdir(parents=True)
        return folder

    def ours_small():
        target = fresh()
        return timed(lambda: subprocess.run([migrate, small, "-o", target, "-q"], check=True, stdout=subprocess.DEVNULL))

    def ours(path):
        emptied(out)
        return timed(lambda: subprocess.run([migrate, path, "-o", out, "-q"], check=True, stdout=subprocess.DEVNULL))

    def python_large():
        emptied(out)
        return timed(lambda: python_migrate(source, out / "v4.h5"))

    def python_verified():
        return python_large() + timed(lambda: python_compare(source, out / "v4.h5"))

    compare("v4 .pth of 1.04 GB to .h5", 2, lambda: ours(source), python_large)
    compare("the same, and Python reads its result back, too", None, lambda: ours(source), python_verified)
    emptied(out)
    print(f"its resident memory: {peak_mib([migrate, source, '-o', out, '-q']):.0f} MiB "
          f"(goal <= {64 + 2304 * 768 * 4 / 2**20:.0f}: 64 MiB and the largest tensor)")
    source.unlink()

    small = emptied(folder / "small")
    small_files(small)

    def python_small():
        target = fresh()
        return timed(lambda: [python_migrate(p, target / (p.stem + ".h5")) for p in sorted(small.iterdir())])

    compare(f"{SMALL_FILES} small files", 5, ours_small, python_small)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
