#!/usr/bin/env python3
"""Updates a second of train, with determinism and ledger on, beside PyTorch's eager mode in Python.

Both train the same networks on the same CIFAR-10 JPEGs with the same augmentation, on all cores:
ours in one process, the peer with as many threads and DataLoader workers as there are cores. They
take turns; of each run the median update counts, of the rounds the median ratio.

resnet18 is the network as CIFAR-10 is trained with it: a 3x3 stem, batches of 128. With torchvision's
stem, resnet18_imagenet, images of 32 pixels shrink to one: little work beside 45 MB of gradients.

usage: bench.py [NETWORK...], of vit_tiny, resnet18, resnet18_imagenet, dino
"""

import csv
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, cifar, scratch  # noqa: E402

WARM_UP = 4
# Options of ours, samples of an update, updates of a run, goal.
NETWORKS = {
    "vit_tiny": ("--arch vit_tiny --optimizer adamw", 64, 12, 1.1),
    "resnet18": ("--arch resnet18_cifar --optimizer sgd", 128, 9, 1.3),
    "resnet18_imagenet": ("--arch resnet18 --optimizer sgd", 64, 30, 1.3),
    "dino": ("--mode dino --arch vit_tiny --optimizer adamw --out-dim 4096 --local-crops 4 "
             "--local-crop-max 0.4 --drop-path 0", 32, 10, 1.1),
}


def ours(name, data):
    options, batch, updates, _ = NETWORKS[name]
    run = scratch() / "train"
    shutil.rmtree(run, ignore_errors=True)
    subprocess.run([binary("train"), *options.split(), "--data", data, "--batch-size", str(batch),
                    "--max-updates", str(updates), "--epochs", "10", "--no-validate", "--log-every",
                    "1", "--save-last-only", "--no-tensorboard", "-q", "--work-dir", run],
                   check=True, stderr=subprocess.DEVNULL)
    with open(run / "train.tsv", newline="") as file:
        times = [float(row["time"]) for row in csv.DictReader(file, delimiter="\t")]
    shutil.rmtree(run)
    return statistics.median(times[WARM_UP:])


def peer(name, data):
    _, batch, updates, _ = NETWORKS[name]
    output = subprocess.run(
        [sys.executable, pathlib.Path(__file__).parent / "peer.py", name, data / "train",
         str(batch), str(updates)], check=True, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL).stdout
    return statistics.median(list(map(float, output.split()))[WARM_UP:])


def main():
    data = cifar(per_class=200)
    table = Table("Training: one update, CIFAR-10 as JPEG, all cores")
    for name in sys.argv[1:] or NETWORKS:
        times = {"ours": [], "peer": []}
        for _ in range(ROUNDS):
            times["ours"].append(ours(name, data))
            times["peer"].append(peer(name, data))
        medians = {f"{name}: train": statistics.median(times["ours"]),
                   f"{name}: PyTorch in Python": statistics.median(times["peer"])}
        table.times(medians, f"{name}: train")
        table.goal(f"updates/s of {name}, ours / PyTorch",
                   statistics.median(b / a for a, b in zip(times["ours"], times["peer"])),
                   NETWORKS[name][3], " x", at_most=False)
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    main()
