#!/usr/bin/env python3
"""How long a resumed run takes from the start of the process to its first new update.

Measured until the ledger has the new line, less the time of that update: LibTorch's start, opening
the data, building ViT-small, reading the checkpoint and checking it against the ledger. Beside it
the same of a new run.
"""

import csv
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, scratch  # noqa: E402

SETTINGS = ("--data builtin:roads --arch vit_small --image-size 64 --batch-size 8 --max-samples 64 "
            "--epochs 10 --no-validate --log-every 1 --save-last-only --no-tensorboard -q").split()
POLL_S = 0.002


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until_update(folder, arguments):
    before = lines(folder / "ledger.jsonl")
    # A new ledger begins with a line of its own.
    wanted = before + 1 if before else 2
    start = time.perf_counter()
    process = subprocess.Popen([binary("train"), *arguments], stderr=subprocess.DEVNULL)
    while lines(folder / "ledger.jsonl") < wanted and process.poll() is None:
        time.sleep(POLL_S)
    seconds = time.perf_counter() - start
    if process.wait():
        sys.exit("train failed")
    with open(folder / "train.tsv", newline="") as file:
        times = [float(row["time"]) for row in csv.DictReader(file, delimiter="\t")]
    return seconds - times[-1]


def main():
    folder = scratch() / "resume"
    times = {"new": [], "resumed": []}
    for _ in range(ROUNDS + 1):
        shutil.rmtree(folder, ignore_errors=True)
        times["new"].append(until_update(folder, [*SETTINGS, "--max-updates", "1", "--work-dir",
                                                  folder]))
        times["resumed"].append(until_update(folder, ["--resume-from", folder, "--max-updates", "2",
                                                      "-q"]))
    shutil.rmtree(folder)
    table = Table("ViT-small: process start to the first update")
    resumed, new = (statistics.median(times[which][1:]) for which in ("resumed", "new"))
    table.times({"resumed run": resumed, "new run": new}, "resumed run")
    table.goal("resumed, model building included", resumed, 1, " s")
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    main()
