#!/usr/bin/env python3
"""Memory of activations: activation checkpointing, bfloat16 and both, against neither.

Counted by train --memory-report, on a GPU where there is one, at one shard a process, so that one forward pass lives
at a time: the most bytes that what a forward pass keeps took at any moment.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import Table, binary  # noqa: E402

NETWORKS = {
    "ResNet-50, 16 images of 128x128": "--arch resnet50 --image-size 128",
    "ViT-small, 16 images of 128x128, patches of 8": "--arch vit_small --image-size 128 --patch-size 8",
}
WAYS = {"neither": "", "checkpointing": "--activation-checkpointing", "bfloat16": "--amp bf16",
        "both": "--activation-checkpointing --amp bf16"}
GOALS = {"checkpointing": 0.50, "bfloat16": 0.61, "both": 0.38}


def activations(network, way):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [binary("train"), *network.split(), *way.split(),
             *"--data builtin:roads --batch-size 16 --shards 1 --max-samples 16 --epochs 1 "
             "--no-validate --no-ledger --sync-save --optimizer sgd --lr 0 --jobs 1 --workers 0 "
             "--memory-report --json -q".split(), "--work-dir", f"{folder}/run"],
            check=True, text=True, capture_output=True)
    return json.loads(done.stdout)["memory"]["highest"]["activations"]


def main():
    table = Table("Activations, most bytes at a time")
    for name, network in NETWORKS.items():
        bytes_ = {way: activations(network, options) for way, options in WAYS.items()}
        print(f"  {name}")
        for way, taken in bytes_.items():
            print(f"    {way:36} {taken / 2**20:9.1f} MiB {taken / bytes_['neither']:8.2f} x neither")
        for way, limit in GOALS.items():
            table.goal(f"{way} / neither", bytes_[way] / bytes_["neither"], limit)
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    main()
