"""Runs peers in turns and prints medians as ratios to ours."""

import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
REST_S = 1.0  # journal and discards of what ran before
ROUNDS = int(os.environ.get("REPRISE_BENCH_ROUNDS", "5"))


def binary(name):
    """A program of the build that has one: the default build, or the one without LibTorch."""
    for preset in ("default", "tools", "release"):
        path = ROOT / "build" / preset / "bin" / name
        if path.exists():
            return path
    sys.exit(f"{name} is not built: ./run build")


def scratch():
    """A folder on the disk that holds the checkout: not in memory."""
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cifar(per_class):
    """A folder with train/<class>/NNNN.jpg: so many real images of each of ten classes."""
    archive = pathlib.Path(os.environ.get("REPRISE_SHARED", ROOT.parent / "shared"))
    archive = archive / "data" / "cifar10-images.tar.gz"
    if not archive.exists():
        print(f"skipped: {archive} not found; set REPRISE_SHARED to the folder above data/")
        sys.exit(0)
    folder = scratch() / f"cifar10-{per_class}"
    if not folder.exists():
        part = folder.with_name(folder.name + "-part")
        shutil.rmtree(part, ignore_errors=True)
        with tarfile.open(archive) as tar:
            for member in tar:
                names = member.name.split("/")
                if names[0] == "train" and len(names) == 3 and int(names[2][:-4]) < per_class:
                    tar.extract(member, part)
        part.rename(folder)
    return folder


class Ours:
    """bench_container, holding its state between requests."""

    def __init__(self, state):
        self.process = subprocess.Popen([binary("bench_container"), state], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, command, path):
        self.process.stdin.write(f"{command} {path}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"bench_container stopped at '{command}'")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def vit_state():
    """ViT-B/16 with AdamW as PyTorch holds it: 456 tensors, 1.04 GB."""
    import torch

    width, shapes = 768, {}
    shapes["cls_token"], shapes["pos_embed"] = (1, 1, width), (1, 197, width)
    shapes["patch_embed.proj.weight"], shapes["patch_embed.proj.bias"] = (width, 3, 16, 16), (width,)

    def linear(name, out, inp):
        shapes[name + ".weight"], shapes[name + ".bias"] = (out, inp), (out,)

    def norm(name):
        shapes[name + ".weight"], shapes[name + ".bias"] = (width,), (width,)

    for i in range(12):
        norm(f"blocks.{i}.norm1")
        linear(f"blocks.{i}.attn.qkv", 3 * width, width)
        linear(f"blocks.{i}.attn.proj", width, width)
        norm(f"blocks.{i}.norm2")
        linear(f"blocks.{i}.mlp.fc1", 4 * width, width)
        linear(f"blocks.{i}.mlp.fc2", width, 4 * width)
    norm("norm")
    linear("head", 1000, width)
    torch.manual_seed(1)
    model = {k: torch.rand(s) for k, s in shapes.items()}
    state = {i: {"step": 1000.0, "exp_avg": torch.rand(v.shape), "exp_avg_sq": torch.rand(v.shape)}
             for i, v in enumerate(model.values())}
    return {"version": 5, "model": model, "optimizer": {"state": state}}


def many_state():
    """3,000 tensors of 64 KiB."""
    import torch

    torch.manual_seed(1)
    return {"version": 5, "model": {f"layers.{i}.weight": torch.rand(128, 128) for i in range(3000)}}


STATES = {"vit": ("ViT-B/16 + AdamW, 456 tensors, 1.04 GB", vit_state),
          "many": ("3,000 tensors of 64 KiB, 197 MB", many_state)}


def flatten(state):
    """Slash paths to tensors."""
    flat = {}
    for key, value in state.items():
        if isinstance(value, dict):
            flat.update({f"{key}/{k}": v for k, v in flatten(value).items()})
        elif hasattr(value, "shape"):
            flat[str(key)] = value
    return flat


def take_turns(peers, rounds=ROUNDS):
    """{name: call returning seconds} to {name: median}; every round calls each once, after the disk
    has come to rest, in an order drawn for the round: what a peer leaves behind it, a disk that is
    busy with what was freed, must not always be met by the same one."""
    times = {name: [] for name in peers}
    for round_ in range(rounds + 1):
        for name in random.Random(round_).sample(list(peers), len(peers)):
            os.sync()
            time.sleep(REST_S)
            seconds = peers[name]()
            if round_:  # the first one warms up
                times[name].append(seconds)
    return {name: statistics.median(t) for name, t in times.items()}


class Table:
    """Prints rows and remembers whether a goal was missed."""

    def __init__(self, title):
        self.missed = 0
        print(f"\n{title}\n" + "-" * len(title))

    def times(self, medians, ours):
        for name, seconds in medians.items():
            ratio = "" if name == ours else f"{seconds / medians[ours]:8.2f} x ours"
            print(f"  {name:38} {seconds:9.4f} s {ratio}")

    def goal(self, what, value, limit, unit="", at_most=True):
        met = value <= limit if at_most else value >= limit
        self.missed += not met
        sign = "<=" if at_most else ">="
        print(f"  goal: {what}: {value:.2f}{unit} (wanted {sign} {limit:g}{unit}) {'met' if met else 'MISSED'}")
