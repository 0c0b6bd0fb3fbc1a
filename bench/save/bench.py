#!/usr/bin/env python3
"""Durable saves, side by side: ours with digests, torch.save, h5py, safetensors, PyTorch DCP, and
the disk's own limit by fio. Durable: the file and its folder are synced before the clock stops."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import STATES, Ours, Table, flatten, scratch, take_turns  # noqa: E402


def remove(path):
    """Outside the time of anybody: freeing a gigabyte of disk is work for the file system, too."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def durable(write, path):
    """Seconds of write(path), synced."""
    start = time.perf_counter()
    write(path)
    for file in [*path.rglob("*"), path] if path.is_dir() else [path]:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    descriptor = os.open(path.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    seconds = time.perf_counter() - start
    remove(path)
    return seconds


def fio(path, size):
    """Seconds of writing `size` bytes past the page cache, as the disk alone takes."""
    output = subprocess.run(
        ["fio", "--name=limit", f"--filename={path}", "--rw=write", "--bs=4M", f"--size={size}", "--direct=1",
         "--ioengine=libaio", "--iodepth=8", "--end_fsync=1", "--output-format=json"],
        check=True, capture_output=True, text=True).stdout
    remove(path)
    return json.loads(output[output.index("{"):])["jobs"][0]["job_runtime"] / 1000


def peers_of(state, folder):
    import h5py
    import torch
    import torch.distributed.checkpoint as dcp
    from safetensors.torch import save_file

    flat = flatten(state)

    def h5py_save(path):
        with h5py.File(path, "w") as file:
            for name, tensor in flat.items():
                file.create_dataset(name, data=tensor.numpy())

    size = sum(t.numel() * t.element_size() for t in flat.values())
    return {
        "fio, O_DIRECT (the disk's limit)": lambda: fio(folder / "fio.bin", size),
        "torch.save": lambda: durable(lambda p: torch.save(state, p), folder / "torch.pth"),
        "h5py": lambda: durable(h5py_save, folder / "h5py.h5"),
        "safetensors": lambda: durable(lambda p: save_file(flat, p), folder / "peer.safetensors"),
        "PyTorch DCP": lambda: durable(lambda p: dcp.save(flat, checkpoint_id=str(p), no_dist=True), folder / "dcp"),
    }


def main():
    import warnings
    warnings.filterwarnings("ignore")
    folder = scratch()
    missed = 0
    for kind, (title, make) in STATES.items():
        ours = Ours(kind)
        target = folder / "ours.h5"

        def save(ours=ours, target=target):
            seconds = ours("save", target)
            remove(target)
            return seconds

        medians = take_turns({"reprise, digests included": save, **peers_of(make(), folder)})
        ours.close()
        table = Table(f"Durable save: {title}")
        table.times(medians, "reprise, digests included")
        mine = medians["reprise, digests included"]
        limit = mine / medians["fio, O_DIRECT (the disk's limit)"]
        if kind == "vit":
            table.goal("ours / fio", limit, 1.10)
            table.goal("torch.save / ours", medians["torch.save"] / mine, 2.3, at_most=False)
            table.goal("h5py / ours", medians["h5py"] / mine, 1.4, at_most=False)
        else:
            table.goal("ours / fio", limit, 1.5)
        missed += table.missed
    shutil.rmtree(folder)
    print(f"\n{missed} goals missed" if missed else "\nall goals met")


if __name__ == "__main__":
    main()
