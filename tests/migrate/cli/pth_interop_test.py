"""What migrate writes as .pth, the real PyTorch loads under weights_only=True, with the truth's tensors.

Usage: pth_interop_test.py MIGRATE LEGACY_FOLDER
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import uuid

import torch


def digest(tensor):
    data = tensor.detach().contiguous().cpu()
    return hashlib.sha256(data.reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b"").hexdigest()


def flat(checkpoint):
    found = {}
    for part in ("student", "teacher", "backbone", "head", "model", "loss_func"):
        for name, tensor in checkpoint.get(part, {}).items():
            found[f"{part}/{name}"] = tensor
    for index, entries in checkpoint.get("optimizer", {}).get("state", {}).items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                found[f"optimizer/state/{index}/{name}"] = value
    return found


PARTS = {"dino": ("student", "teacher"), "supervised": ("backbone", "head"), "model": ("model",)}
ALWAYS = {"version", "type", "epoch", "uuid", "config", "metrics"}
ALLOWED = ALWAYS | {"arch", "arch_head", "student", "teacher", "backbone", "head", "uuid_backbone", "model", "optimizer",
                    "loss_func", "reprise"}


def load_by_the_table(path):
    """A reader of plain version 5, written from its table of fields alone: whatever that does not allow is an error."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    assert checkpoint["version"] == 5, path
    assert ALWAYS <= set(checkpoint) <= ALLOWED, (path, set(checkpoint) ^ ALWAYS)
    assert all(value is not None for value in checkpoint.values()), path
    parts = PARTS[checkpoint["type"]]
    for part in ("student", "teacher", "backbone", "head", "model", "loss_func"):
        if part not in checkpoint:
            continue
        assert part in parts or part == "loss_func", (path, part)
        for name, tensor in checkpoint[part].items():
            assert isinstance(name, str) and isinstance(tensor, torch.Tensor), (path, part, name)
            assert not name.startswith("module.") or name.removeprefix("module.") in checkpoint[part], (path, name)
    assert any(part in checkpoint for part in parts), path
    assert isinstance(checkpoint["epoch"], int) and checkpoint["epoch"] >= 0, path
    assert str(uuid.UUID(checkpoint["uuid"])) == checkpoint["uuid"], path
    for field in ("arch", "arch_head"):
        assert isinstance(checkpoint.get(field, ""), str), (path, field)
    if checkpoint["type"] == "supervised":
        assert "head" in checkpoint and not ("backbone" in checkpoint and "uuid_backbone" in checkpoint), path
    assert isinstance(json.loads(checkpoint["config"]), dict), path
    assert isinstance(json.loads(checkpoint["metrics"]), dict), path
    if "optimizer" in checkpoint:
        groups = checkpoint["optimizer"]["param_groups"]
        numbers = [number for group in groups for number in group["params"]]
        assert numbers == list(range(len(numbers))), path
        assert set(checkpoint["optimizer"]["state"]) <= set(numbers), path
    return checkpoint


def check(path, truth):
    checkpoint = load_by_the_table(path)
    scalars = truth["scalars"]
    for field in ("type", "uuid", "arch", "arch_head"):
        if scalars.get(field) is not None:
            assert checkpoint[field] == scalars[field], (path, field)
    if scalars.get("epoch") is not None:
        assert checkpoint["epoch"] == scalars["epoch"], path
    tensors, expected = flat(checkpoint), truth["tensors"]
    assert set(tensors) == set(expected), f"{path}: {set(tensors) ^ set(expected)}"
    for name, facts in expected.items():
        assert str(tensors[name].dtype) == "torch." + facts["dtype"], (path, name)
        assert list(tensors[name].shape) == facts["shape"], (path, name)
        assert digest(tensors[name]) == facts["sha256"], (path, name)
    if "optimizer" in checkpoint:
        # Key order as PyTorch writes it, and a state dict that its optimizers accept.
        assert list(checkpoint["optimizer"]) == ["state", "param_groups"], path
        assert all(list(group)[-1] == "params" for group in checkpoint["optimizer"]["param_groups"]), path


def main():
    migrate, legacy = sys.argv[1], pathlib.Path(sys.argv[2])
    checked = 0
    with tempfile.TemporaryDirectory() as folder:
        for source in ("ma", "dialects"):
            out = pathlib.Path(folder) / source
            # Exit 1: the ambiguous file is there to be refused.
            subprocess.run([migrate, legacy / source, "--recursive", "--to", "pth", "-o", out], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=source == "ma")
            for truth in sorted((legacy / "expected" / source).rglob("*.v5.json")):
                name = truth.relative_to(legacy / "expected" / source).as_posix().removesuffix(".v5.json")
                stem = name.removesuffix(".tar")
                stem = stem[: stem.rindex(".")]
                result = out / (stem + ".v5.pth")
                if not result.exists():
                    # Version 5 in its normal form already: there is nothing to do.
                    assert name.startswith("v5-"), name
                    result = legacy / source / name
                check(result, json.loads(truth.read_text()))
                checked += 1
    assert checked > 40, checked
    print(f"{checked} files")


if __name__ == "__main__":
    main()
