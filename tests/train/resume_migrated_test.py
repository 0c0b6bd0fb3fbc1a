"""Training goes on from a checkpoint whose optimizer was pickled as an object: the next update of
train equals PyTorch's own next step on the same batch, tensor by tensor.

Usage: resume_migrated_test.py MIGRATE CKPT TRAIN
"""

import argparse
import json
import pathlib
import sys
import tempfile

import numpy
import torch
import torchvision
from PIL import Image
from resuming import check_next_update, normalised, run

SAMPLES, SIDE, CLASSES = 64, 32, 2

OPTIMIZERS = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.05, betas=(0.8, 0.99)),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=1e-3, nesterov=True),
}


def make_images(folder):
    """One batch in all, so that its order does not matter to what is compared."""
    random = numpy.random.default_rng(0)
    pixels, labels = [], []
    for i in range(SAMPLES):
        label = i % CLASSES
        picture = random.integers(0, 256, (SIDE, SIDE, 3), dtype=numpy.uint8)
        picture[..., label] //= 2
        target = folder / f"class{label}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(target / f"{i:03}.png")
        pixels.append(picture)
        labels.append(label)
    images = torch.from_numpy(numpy.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    return images, torch.tensor(labels)


def step(model, optimizer, images, labels):
    model.train()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


UUID = "5f0c3a52-2b0e-4d5e-9d7c-6f1f1d0a7b11"


def save_old(path, version, model, optimizer):
    """As each version had it: a network whole until 2, in two parts from 3 on."""
    state = model.state_dict()
    checkpoint = {"epoch": 1, "arch": "resnet18", "config": argparse.Namespace(epochs=1),
                  "optimizer": optimizer}  # the object itself
    if version > 0:
        checkpoint |= {"version": version, "uuid": UUID, "type": "backbone" if version < 3 else "supervised"}
    if version < 3:
        checkpoint |= {"backbone": state, "loss_func": None}
    else:
        checkpoint |= {"arch_head": "linear",
                       "backbone": {k: v for k, v in state.items() if not k.startswith("fc.")},
                       "head": {k: v for k, v in state.items() if k.startswith("fc.")}}
    if version == 4:
        checkpoint |= {"config": {"epochs": 1}, "metrics": {"val": {"acc1": 50.0}}}
    torch.save(checkpoint, path)


def tensors_of(checkpoint):
    return {k: v for part in ("backbone", "head", "model") for k, v in checkpoint.get(part, {}).items()}


def check(name, version, migrate, ckpt, train, scratch, images, labels):
    torch.manual_seed(1)
    model = torchvision.models.resnet18(num_classes=CLASSES)
    optimizer = OPTIMIZERS[name](model.parameters())
    options = ["--data", scratch / "images", "--image-size", SIDE, "--batch-size", SAMPLES, "--shards", 1,
               "--augment", "none", "--epochs", 2, "--schedule", "constant", "--no-validate", "-q"]

    # What train subtracts and divides by, as it writes it down.
    probe = scratch / "probe"
    if not probe.exists():
        run(train, *options, "--epochs", 1, "--work-dir", probe, "--arch", "resnet18")
    images = normalised(images, ckpt, probe)

    for _ in range(3):
        step(model, optimizer, images, labels)
    file = f"{name}-v{version}"
    save_old(scratch / f"{file}.pth", version, model, optimizer)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    step(model, optimizer, images, labels)
    after = model.state_dict()

    migrated = json.loads(run(migrate, "--json", scratch / f"{file}.pth").stdout)["files"][0]
    assert migrated["from"] == version and (version == 0 or migrated["uuid"] == UUID), migrated
    sources = [scratch / f"{file}.v5.h5"] + [scratch / f"{file}.pth"] * ((name, version) == ("adamw", 4))
    work_of = lambda source: scratch / f"from-{source.name}"
    check_next_update(f"{name} of version {version}", (ckpt, train), sources, options, tensors_of, before, after,
                      optimizer.state_dict(), work_of)
    for source in sources:
        last = json.loads(run(ckpt, "show", work_of(source) / "<last>", "--json").stdout)
        assert migrated["uuid"] in json.dumps(last), (migrated, last)


def main():
    migrate, ckpt, train = sys.argv[1:]
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        images, labels = make_images(scratch / "images")
        for name, version in [("adamw", 0), ("sgd", 1), ("adamw", 2), ("adamw", 3), ("adamw", 4), ("sgd", 4)]:
            check(name, version, migrate, ckpt, train, scratch, images, labels)
        # Weights alone cannot go on, and say what can be done.
        weights = scratch / "weights.pth"
        torch.save(torchvision.models.resnet18(num_classes=CLASSES).state_dict(), weights)
        refused = run(train, "--resume-from", weights, "--data", scratch / "images", "--work-dir", scratch / "no", code=15)
        assert "--load-from" in refused.stderr, refused.stderr


if __name__ == "__main__":
    main()
