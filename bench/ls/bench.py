#!/usr/bin/env python3
"""Starting, and listing 3,000 tensors, whole processes from a warm page cache: ours and Python's."""

import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, flatten, many_state, scratch, take_turns  # noqa: E402

PEERS = {
    "python, h5py": "import h5py, sys\n"
                    "with h5py.File('ours.h5') as f:\n"
                    "    f.visititems(lambda n, d: print(n, d.dtype, d.shape) if isinstance(d, h5py.Dataset) else None)",
    "python, safetensors": "from safetensors import safe_open\n"
                           "with safe_open('many.safetensors', 'np') as f:\n"
                           "    for n in f.keys():\n"
                           "        s = f.get_slice(n); print(n, s.get_dtype(), s.get_shape())",
    "python, torch.load(mmap)": "import torch\n"
                                "for n, t in torch.load('many.pth', weights_only=True, mmap=True)['model'].items():\n"
                                "    print(n, t.dtype, t.shape)",
}


def main():
    import torch
    from safetensors.torch import save_file

    folder = scratch()
    state = many_state()
    torch.save(state, folder / "many.pth")
    save_file(flatten(state["model"]), folder / "many.safetensors")
    ckpt = binary("ckpt")
    subprocess.run([ckpt, "convert", "many.safetensors", "ours.h5", "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def run(command):
        def call():
            start = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return time.perf_counter() - start
        return call

    ours = "ckpt ls ours.h5"
    medians = take_turns({ours: run([ckpt, "ls", "ours.h5"]),
                          "ckpt ls many.pth": run([ckpt, "ls", "many.pth"]),
                          "ckpt ls many.safetensors": run([ckpt, "ls", "many.safetensors"]),
                          **{name: run([sys.executable, "-c", code]) for name, code in PEERS.items()}})
    table = Table("List 3,000 tensors, whole process")
    table.times(medians, ours)
    table.goal("ckpt ls of a native file", medians[ours] * 1000, 20, " ms")
    table.goal("ckpt ls of a .pth file", medians["ckpt ls many.pth"] * 1000, 30, " ms")
    missed = table.missed

    table = Table("Start: --version")
    for name in ("ckpt", "migrate", "repro"):
        call = run([binary(name), "--version"])
        call()
        table.goal(name, statistics.median(call() for _ in range(4 * ROUNDS)) * 1000, 15, " ms")
    missed += table.missed
    shutil.rmtree(folder)
    print(f"\n{missed} goals missed" if missed else "\nall goals met")


if __name__ == "__main__":
    main()
