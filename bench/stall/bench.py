#!/usr/bin/env python3
"""How long training stands still for an asynchronous save of 1.04 GB, beside one memcpy of it, and
what it costs when two processes share it."""

import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, scratch  # noqa: E402


def medians(*arguments):
    output = subprocess.run([binary("stall_bench"), str(max(ROUNDS, 5)), *arguments], check=True, text=True,
                            capture_output=True).stdout
    rows = [[float(x) for x in line.split()] for line in output.splitlines()]
    return [statistics.median(column) for column in zip(*rows)]


def main():
    copy, stall = medians()
    table = Table("Stall of an asynchronous save: 456 tensors, 1.04 GB")
    table.times({"AsyncSaver::submit": stall, "one memcpy (one thread)": copy}, "AsyncSaver::submit")
    table.goal("stall / one memcpy", stall / copy, 1.3)
    one_stall, one_wall, two_stall, two_wall = medians(scratch())
    Table("The same by processes of one thread each").times(
        {"stall, one process": one_stall, "stall, two": two_stall,
         "until durable, one process": one_wall, "until durable, two": two_wall}, "stall, one process")
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    main()
