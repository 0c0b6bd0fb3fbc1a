#!/usr/bin/env python3
"""`ckpt ls` of a .pth of 3,000 tensors, whole process, beside Python's torch.load and a listing."""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import STATES, Table, binary, scratch, take_turns  # noqa: E402

PEER = """
import sys, torch
state = torch.load(sys.argv[1], weights_only=True)
for name, tensor in state["model"].items():
    print(name, tensor.dtype, tuple(tensor.shape))
"""


def timed(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    import torch

    path = scratch() / "many.pth"
    torch.save(STATES["many"][1](), path)
    medians = take_turns({
        "ckpt ls": lambda: timed([binary("ckpt"), "ls", path]),
        "Python: torch.load, print": lambda: timed([sys.executable, "-c", PEER, path]),
    })
    path.unlink()
    table = Table("Listing 3,000 tensors of a .pth, whole process")
    table.times(medians, "ckpt ls")
    table.goal("ckpt ls", medians["ckpt ls"] * 1000, 30, " ms")
    table.goal("times faster", medians["Python: torch.load, print"] / medians["ckpt ls"], 50, at_most=False)
    return table.missed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
