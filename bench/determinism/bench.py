#!/usr/bin/env python3
"""What --deterministic costs: the same binary with it on and off, runs in turn."""

import csv
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, scratch  # noqa: E402

NETWORKS = {"vit_tiny": "--arch vit_tiny --image-size 64 --batch-size 32 --max-samples 480",
            "resnet18": "--arch resnet18 --image-size 64 --batch-size 32 --max-samples 480"}


def update_s(network, switch):
    folder = scratch() / "determinism"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([binary("train"), *network.split(), *"--data builtin:roads --epochs 1 "
                    "--no-validate --log-every 1 --save-last-only --no-tensorboard -q".split(),
                    switch, "--work-dir", folder], check=True, stderr=subprocess.DEVNULL)
    with open(folder / "train.tsv", newline="") as file:
        times = [float(row["time"]) for row in csv.DictReader(file, delimiter="\t")]
    shutil.rmtree(folder)
    return statistics.median(times[3:])


def main():
    table = Table("Determinism: one update, images of 64x64, batch 32, CPU")
    for name, network in NETWORKS.items():
        pairs = [(update_s(network, "--deterministic"), update_s(network, "--no-deterministic"))
                 for _ in range(ROUNDS)]
        on, off = (statistics.median(column) for column in zip(*pairs))
        table.times({f"{name}, deterministic": on, f"{name}, not": off}, f"{name}, deterministic")
        table.goal(f"added to an update of {name}",
                   statistics.median(a / b - 1 for a, b in pairs) * 100, 5, " %")
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    main()
