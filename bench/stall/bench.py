#!/usr/bin/env python3
"""How long training stands still for an asynchronous save of 1.04 GB, beside one memcpy of it."""

import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary  # noqa: E402


def main():
    output = subprocess.run([binary("stall_bench"), str(max(ROUNDS, 5))], check=True, text=True, capture_output=True).stdout
    rows = [[float(x) for x in line.split()] for line in output.splitlines()]
    copy, stall = (statistics.median(column) for column in zip(*rows))
    table = Table("Stall of an asynchronous save: 456 tensors, 1.04 GB")
    table.times({"AsyncSaver::submit": stall, "one memcpy (one thread)": copy}, "AsyncSaver::submit")
    table.goal("stall / one memcpy", stall / copy, 1.3)
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    main()
