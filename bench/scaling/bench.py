#!/usr/bin/env python3
"""Strong scaling: the same updates on one process and on two, each with one computing thread.

Both give the same bits, which is checked.
"""

import csv
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, scratch  # noqa: E402

# The batches of the benchmark `train`. What every process does by itself, the optimizer's update of
# all weights and the digests, is the same for each batch.
NETWORKS = {"vit_tiny": "--arch vit_tiny --image-size 64 --batch-size 64 --max-samples 640",
            "resnet18_cifar": "--arch resnet18_cifar --image-size 32 --batch-size 128 "
                              "--max-samples 1280"}


def run(network, processes):
    """Median seconds of an update, and the ledger."""
    folder = scratch() / f"scaling-{processes}"
    shutil.rmtree(folder, ignore_errors=True)
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:processes]))
    subprocess.run(["taskset", "-c", cores, binary("train"), *network.split(),
                    *"--data builtin:roads --epochs 1 --no-validate --log-every 1 --workers 1 "
                    "--save-last-only --no-tensorboard --jobs 1 -q --nproc".split(), str(processes),
                    "--work-dir", folder], check=True, stderr=subprocess.DEVNULL)
    with open(folder / "train.tsv", newline="") as file:
        times = [float(row["time"]) for row in csv.DictReader(file, delimiter="\t")]
    ledger = (folder / "ledger.jsonl").read_bytes()
    shutil.rmtree(folder)
    return statistics.median(times[2:]), ledger


def main():
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: one core")
        return
    table = Table("Scaling from one process to two, one core each")
    for name, network in NETWORKS.items():
        times = {1: [], 2: []}
        for _ in range(ROUNDS):
            (one, first), (two, second) = run(network, 1), run(network, 2)
            if first != second:
                sys.exit("the ledgers of one and two processes differ")
            times[1].append(one)
            times[2].append(two)
        table.times({f"{name}, one process": statistics.median(times[1]),
                     f"{name}, two": statistics.median(times[2])}, f"{name}, two")
        table.goal(f"updates/s of {name}, two / one",
                   statistics.median(a / b for a, b in zip(times[1], times[2])), 1.8, " x",
                   at_most=False)
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    main()
