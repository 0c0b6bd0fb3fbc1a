#!/usr/bin/env python3
"""The tensor digest beside memcpy, a sum that only reads, and a card's own copy."""

import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary  # noqa: E402


def main():
    output = subprocess.run([binary("digest_bench"), str(max(ROUNDS, 7))], check=True, text=True,
                            capture_output=True).stdout
    rows = [[float(x) for x in line.split()] for line in output.splitlines()][1:]
    columns = [statistics.median(column) for column in zip(*rows)]
    missed = 0
    pairs = [("one core", "memcpy, the bytes it reads"), ("all cores", "a sum that only reads"),
             ("GPU", "copy on the device")]
    for (where, peer), ours, theirs in zip(pairs, columns[::2], columns[1::2]):
        table = Table(f"Tensor digest, {where}")
        table.times({"digest": ours, peer: theirs}, "digest")
        table.goal("rate / peer's rate", theirs / ours, 0.8, at_most=False)
        missed += table.missed
    if len(columns) < 5:
        print("\nTensor digest, GPU: no card, or not the cuda preset: not measured")
    print(f"\n{missed} goals missed" if missed else "\nall goals met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
