#!/usr/bin/env python3
"""JPEG decode and augmentation on one core: ours against torchvision's pipeline.

Both read the same 5,000 CIFAR-10 JPEGs from files, crop with padding, mirror and normalise to
float planes, in one thread, taking turns; medians of 5 rounds. Prints a table and, with --json
FILE, the numbers. Goal: at least 4 times torchvision.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOAL = 4.0


def unpack(archive, folder, per_class):
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = member.name.split("/")
            wanted = len(parts) == 3 and parts[0] == "train" and parts[2].endswith(".jpg")
            if wanted and int(parts[2][:-4]) < per_class:
                tar.extract(member, folder)


def torchvision_rate(folder):
    """Images per second of one pass of the usual CIFAR pipeline."""
    import torch
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    pipeline = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = datasets.ImageFolder(folder, pipeline)

    def one_pass():
        loader = torch.utils.data.DataLoader(images, batch_size=100, shuffle=True, drop_last=True)
        start = time.perf_counter()
        count = sum(len(labels) for _, labels in loader)
        return count / (time.perf_counter() - start)

    return one_pass


def our_rate(program, folder):
    out = subprocess.run([program, folder, "1"], check=True, capture_output=True, text=True)
    return float(out.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    shared = os.environ.get("REPRISE_SHARED", ROOT.parent / "shared")
    parser.add_argument("--archive", default=pathlib.Path(shared) / "data/cifar10-images.tar.gz")
    parser.add_argument("--program", default=ROOT / "build/default/bench/decode_bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if not pathlib.Path(options.archive).exists():
        parser.exit(10, f"{options.archive}: not found; set REPRISE_SHARED to the folder above data/\n")

    with tempfile.TemporaryDirectory() as scratch:
        unpack(options.archive, scratch, 500)
        train = str(pathlib.Path(scratch) / "train")
        theirs_once = torchvision_rate(train)
        theirs_once(), our_rate(options.program, train)  # both warm
        theirs, ours = [], []
        for _ in range(options.rounds):
            ours.append(our_rate(options.program, train))
            theirs.append(theirs_once())

    ratio = statistics.median(ours) / statistics.median(theirs)
    print("JPEG 32x32, crop, mirror, normalise, one core     images/s")
    print(f"  torchvision (Pillow)                            {statistics.median(theirs):9.0f}")
    print(f"  reprise                                         {statistics.median(ours):9.0f}")
    verdict = "reached" if ratio >= GOAL else "missed"
    print(f"  ratio {ratio:.2f}, goal >= {GOAL:.0f}: {verdict}")
    if options.json:
        result = {"torchvision": theirs, "reprise": ours, "ratio": ratio, "goal": GOAL}
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
