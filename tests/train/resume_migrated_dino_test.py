"""A dino run goes on from a checkpoint of old whose optimizer and loss were pickled as objects, and from one of
DINO's own code: the next update of train equals PyTorch's, tensor by tensor, in student, teacher, centre, optimizer.

Usage: resume_migrated_dino_test.py MIGRATE CKPT TRAIN
"""

import argparse
import json
import math
import pathlib
import sys
import tempfile
import types
import warnings

import numpy
import torch
from PIL import Image
from resuming import check_next_update, normalised, run
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "engine" / "models"))
from reference_models import Vit  # noqa: E402

SAMPLES, SIDE, PATCH = 16, 32, 8
OUTPUTS, HIDDEN, BOTTLENECK = 40, 48, 24
STUDENT_TEMPERATURE, TEACHER_TEMPERATURE = 0.1, 0.04
MOMENTUM, EPOCHS = 0.9, 2
LR, DECAY = 1e-3, 0.04
UUID = "5f0c3a52-2b0e-4d5e-9d7c-6f1f1d0a7b12"


class Head(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(inside, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU(),
                                 nn.Linear(HIDDEN, BOTTLENECK))
        warnings.simplefilter("ignore", FutureWarning)  # the function whose names DINO's checkpoints have
        self.last_layer = nn.utils.weight_norm(nn.Linear(BOTTLENECK, OUTPUTS, bias=False))
        self.last_layer.weight_g.data.fill_(1)
        self.last_layer.weight_g.requires_grad = False

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Vit(SIDE, PATCH, 192, 12, 3, 1)
        self.backbone.head = nn.Identity()
        self.head = Head(192)

    def forward(self, x):
        return self.head(self.backbone(x))


class DINOLoss(nn.Module):
    """As in DINO's code, pickled whole until version 4; its module is gone when the file is read."""

    def __init__(self):
        super().__init__()
        self.student_temp, self.center_momentum, self.ncrops = STUDENT_TEMPERATURE, 0.9, 2
        self.register_buffer("center", torch.zeros(1, OUTPUTS))
        self.teacher_temp_schedule = numpy.full(EPOCHS, TEACHER_TEMPERATURE)

    def forward(self, student, teacher):
        found = (student / STUDENT_TEMPERATURE).chunk(2)
        wanted = F.softmax((teacher - self.center) / TEACHER_TEMPERATURE, -1).detach().chunk(2)
        terms = [torch.sum(-q * F.log_softmax(v, -1), -1).mean()
                 for i, q in enumerate(wanted) for j, v in enumerate(found) if i != j]
        self.center = self.center * 0.9 + teacher.mean(0, keepdim=True) * (1 - 0.9)
        return sum(terms) / len(terms)


GONE = {name: types.ModuleType(name) for name in ("src", "src.dino_code")}
GONE["src.dino_code"].DINOLoss = DINOLoss
DINOLoss.__module__ = "src.dino_code"


class Run:
    """Student, teacher, loss and AdamW with DINO's groups: biases and norms without decay."""

    def __init__(self):
        torch.manual_seed(3)
        self.student, self.teacher, self.loss = Network(), Network(), DINOLoss()
        named = [(n, p) for n, p in self.student.named_parameters() if p.requires_grad]
        plain = [p for n, p in named if n.endswith(".bias") or p.ndim == 1]
        decayed = [p for n, p in named if not (n.endswith(".bias") or p.ndim == 1)]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": plain, "weight_decay": 0.0}], lr=LR, weight_decay=DECAY)

    def step(self, images, momentum):
        crops = torch.cat([images, images])
        with torch.no_grad():
            said = self.teacher(crops)
        self.optimizer.zero_grad()
        self.loss(self.student(crops), said).backward()
        self.optimizer.step()
        with torch.no_grad():
            for mine, theirs in zip(self.teacher.parameters(), self.student.parameters()):
                mine.mul_(momentum).add_(theirs.detach(), alpha=1 - momentum)

    def tensors(self):
        parts = {"student": self.student.state_dict(), "teacher": self.teacher.state_dict(),
                 "loss_func": self.loss.state_dict()}
        return {f"{part}/{name}": t.clone() for part, state in parts.items() for name, t in state.items()}


def make_images(folder):
    """One batch in all, of pictures that are their own mirror images: crops that take all of one are all equal."""
    random = numpy.random.default_rng(0)
    pixels = []
    for i in range(SAMPLES):
        half = random.integers(0, 256, (SIDE, SIDE // 2, 3), dtype=numpy.uint8)
        picture = numpy.concatenate([half, half[:, ::-1]], 1)
        target = folder / f"class{i % 2}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(target / f"{i:03}.png")
        pixels.append(picture)
    return torch.from_numpy(numpy.stack(pixels)).permute(0, 3, 1, 2).float() / 255


def save_facebook(path, state):
    """As main_dino.py does: the student wrapped for several processes, state dicts in place of objects."""
    torch.save({"student": {f"module.{name}": t for name, t in state.student.state_dict().items()},
                "teacher": state.teacher.state_dict(), "optimizer": state.optimizer.state_dict(), "epoch": 1,
                "args": argparse.Namespace(arch="vit_tiny", epochs=EPOCHS), "dino_loss": state.loss.state_dict(),
                "fp16_scaler": torch.amp.GradScaler("cpu").state_dict()}, path)


def save_old(path, version, state):
    if version == "facebook-dino":
        return save_facebook(path, state)
    checkpoint = {"epoch": 1, "arch": "vit_tiny", "config": argparse.Namespace(epochs=EPOCHS),
                  "student": state.student.state_dict(), "teacher": state.teacher.state_dict(),
                  "optimizer": state.optimizer, "loss_func": state.loss}  # the objects themselves
    if version > 0:
        checkpoint |= {"version": version, "uuid": UUID, "type": "dino"}
    if version == 4:
        checkpoint |= {"config": {"epochs": EPOCHS}, "metrics": {}}
    sys.modules.update(GONE)
    torch.save(checkpoint, path)
    for name in GONE:
        del sys.modules[name]


def tensors_of(checkpoint):
    return {f"{part}/{name}": tensor for part in ("student", "teacher", "loss_func")
            for name, tensor in checkpoint[part].items()}


def check(version, migrate, ckpt, train, scratch, images):
    options = ["--mode", "dino", "--data", scratch / "images", "--image-size", SIDE, "--patch-size", PATCH,
               "--batch-size", SAMPLES, "--shards", 1, "--augment", "none", "--global-crop-min", 1, "--local-crops", 0,
               "--epochs", EPOCHS, "--schedule", "constant", "--no-validate", "--clip-grad", 0, "--out-dim", OUTPUTS,
               "--head-hidden", HIDDEN, "--head-bottleneck", BOTTLENECK, "--student-temp", STUDENT_TEMPERATURE,
               "--teacher-temp", TEACHER_TEMPERATURE, "--warmup-teacher-temp-epochs", 0, "--freeze-last-layer", 0,
               "--momentum-teacher", MOMENTUM, "--weight-decay-end", DECAY, "-q"]
    # What train subtracts and divides by, as it writes it down.
    probe = scratch / "probe"
    if not probe.exists():
        run(train, *options, "--epochs", 1, "--work-dir", probe, "--arch", "vit_tiny")
    images = normalised(images, ckpt, probe)

    state = Run()
    for _ in range(3):
        state.step(images, MOMENTUM)
    old = scratch / f"{version}.pth"
    save_old(old, version, state)
    before = state.tensors()
    # One update an epoch, so the next has index 1 of DINO's cosine to 1.
    state.step(images, 1 + 0.5 * (MOMENTUM - 1) * (1 + math.cos(math.pi * 1 / EPOCHS)))
    after = state.tensors()

    migrated = json.loads(run(migrate, "--json", old).stdout)["files"][0]
    assert version in (migrated["from"], migrated["dialect"]) and migrated["type"] == "dino" and migrated["resumable"], migrated
    sources = [scratch / f"{version}.v5.h5"] + [old] * (version == 4)
    found = check_next_update(f"dino of {version}", (ckpt, train), sources, options, tensors_of, before, after,
                              state.optimizer.state_dict(), lambda source: scratch / f"from-{source.name}")
    assert torch.equal(found["student/head.last_layer.weight_g"], before["student/head.last_layer.weight_g"])
    assert not torch.equal(found["loss_func/center"], before["loss_func/center"])


def main():
    migrate, ckpt, train = sys.argv[1:]
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        images = make_images(scratch / "images")
        for version in (0, 1, 2, 3, 4, "facebook-dino"):
            check(version, migrate, ckpt, train, scratch, images)


if __name__ == "__main__":
    main()
