#!/usr/bin/env python3
"""What the ledger adds to an update: ViT-tiny on the CPU, runs with and without it in turn."""

import csv
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, scratch  # noqa: E402

SETTINGS = ["--data", "builtin:roads", "--arch", "vit_tiny", "--image-size", "64", "--max-samples",
            "512", "--batch-size", "32", "--epochs", "1", "--no-validate", "--log-every", "1",
            "--save-last-only", "--no-tensorboard", "--seed", "1", "-q"]


def update_s(folder, ledger):
    """Seconds of an update: the mean of the faster half, the first ones left out. What else runs on
    the machine makes updates slower, never faster."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([binary("train"), *SETTINGS, "--work-dir", folder,
                    "--ledger" if ledger else "--no-ledger"], check=True, stderr=subprocess.DEVNULL)
    with open(folder / "train.tsv", newline="") as file:
        times = [float(row["time"]) for row in csv.DictReader(file, delimiter="\t")]
    times = sorted(times[2:])
    return statistics.mean(times[: len(times) // 2])


def main():
    folder = scratch() / "ledger"
    pairs = []
    update_s(folder, True)  # warms up
    for round_ in range(ROUNDS):
        order = (True, False) if round_ % 2 else (False, True)
        found = {ledger: update_s(folder, ledger) for ledger in order}
        pairs.append((found[True], found[False]))
    shutil.rmtree(folder)
    table = Table("Ledger: ViT-tiny at 64 pixels, batch 32, CPU")
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    table.times({"update with a ledger": ours, "update without": theirs}, "update with a ledger")
    # Of each pair, so that a slow minute of the machine meets both sides.
    added = statistics.median(a / b - 1 for a, b in pairs) * 100
    table.goal("added to an update", added, 2, " %")
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
