#!/usr/bin/env python3
"""Loading, side by side, from a warm page cache: ours mapped and verified, torch.load, safetensors,
h5py; opening and listing; and the memory of `ckpt verify` and `ckpt convert`."""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, STATES, Ours, Table, binary, flatten, scratch, take_turns  # noqa: E402


def timed(call):
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    del result
    return seconds


def touch(tensors):
    """One element of every page; all are float32."""
    for tensor in tensors:
        tensor.reshape(-1)[::1024].sum()


def peers_of(folder):
    import h5py
    import torch
    from safetensors.torch import load_file

    def h5py_load():
        out = {}
        with h5py.File(folder / "h5py.h5") as file:
            file.visititems(lambda name, d: out.update({name: d[()]}) if isinstance(d, h5py.Dataset) else None)
        return out

    pth, peer = folder / "torch.pth", folder / "peer.safetensors"
    return {
        "safetensors, every page touched": lambda: timed(lambda: touch(load_file(peer).values())),
        "torch.load": lambda: timed(lambda: torch.load(pth, weights_only=True)),
        "torch.load(mmap), every page touched":
            lambda: timed(lambda: touch(flatten(torch.load(pth, weights_only=True, mmap=True)).values())),
        "h5py": lambda: timed(h5py_load),
    }


def write_files(state, folder):
    import h5py
    import torch
    from safetensors.torch import save_file

    flat = flatten(state)
    torch.save(state, folder / "torch.pth")
    save_file(flat, folder / "peer.safetensors")
    with h5py.File(folder / "h5py.h5", "w") as file:
        for name, tensor in flat.items():
            file.create_dataset(name, data=tensor.numpy())


# In an interpreter of its own: a child's peak counts what its parent held when it was started.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(status != 0)
"""


def peak_memory_mib(command):
    """The largest resident set of a command."""
    output = subprocess.run([sys.executable, "-c", MEASURE, *map(str, command)], check=True, capture_output=True, text=True)
    return int(output.stdout) / 1024


def main():
    folder = scratch()
    missed = 0
    for kind, (title, make) in STATES.items():
        ours, path = Ours(kind), folder / "ours.h5"
        ours("save", path)
        write_files(make(), folder)
        for file in folder.iterdir():
            file.read_bytes()  # into the page cache
        medians = take_turns({"reprise, mapped, every page touched": lambda: ours("map", path),
                              "reprise, every digest verified": lambda: ours("verify", path),
                              **peers_of(folder)})
        table = Table(f"Load: {title}")
        table.times(medians, "reprise, every digest verified")
        table.goal("mapped / safetensors", medians["reprise, mapped, every page touched"] /
                   medians["safetensors, every page touched"], 1.2)
        table.goal("verified / torch.load", medians["reprise, every digest verified"] / medians["torch.load"], 1.3)
        if kind == "many":
            listing = statistics.median(ours("list", path) for _ in range(4 * ROUNDS))
            table.goal("open and list 3,000 tensors", listing * 1000, 5, " ms")
            command = [binary("ckpt"), "ls", path]
            run = lambda: timed(lambda: subprocess.run(command, capture_output=True, check=True))  # noqa: E731
            table.goal("the whole of `ckpt ls`", statistics.median(run() for _ in range(4 * ROUNDS)) * 1000, 20, " ms")
        else:
            largest = max(t.numel() * t.element_size() for t in flatten(make()).values()) / 2**20
            ckpt = binary("ckpt")
            table.goal("memory of `ckpt verify` above the largest tensor",
                       peak_memory_mib([ckpt, "verify", path]) - largest, 128, " MiB")
            table.goal("memory of `ckpt convert` above the largest tensor",
                       peak_memory_mib([ckpt, "convert", path, folder / "out.safetensors", "--lossy"]) - largest, 128, " MiB")
        missed += table.missed
        ours.close()
        shutil.rmtree(folder)
        folder.mkdir()
    shutil.rmtree(folder)
    print(f"\n{missed} goals missed" if missed else "\nall goals met")


if __name__ == "__main__":
    main()
