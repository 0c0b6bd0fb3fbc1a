"""HDF5 of Keras and h5py comes back whole: each dataset in the state dict, each attribute under reprise/unmapped.

The files are laid out as Keras writes them (its own `save` and `save_weights`), by the real h5py. Hostile
ones, made by h5py too, end in bounded time and memory.

Usage: foreign_hdf5_test.py MIGRATE CKPT
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

# What is measured is charged with what its parent held when it was started: without these, little.
if sys.argv[1] != "--bounded":
    import h5py
    import numpy as np

SECONDS, MEBIBYTES = 1.5, 64  # for a file of a megabyte, by its size for others


def layers(group, names):
    group.attrs["layer_names"] = np.array([n.encode() for n in names])
    group.attrs["backend"] = "tensorflow"
    for index, name in enumerate(names):
        layer = group.create_group(name)
        layer.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
        layer[f"{name}/kernel:0"] = np.full((4, 3), index, "f4")
        layer[f"{name}/bias:0"] = np.full(3, index + 0.5, "f4")


def keras_model(f):
    f.attrs["backend"] = "tensorflow"
    f.attrs["keras_version"] = "2.15.0"
    f.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": ["dense"] * 500}}).encode()
    f.attrs["training_config"] = json.dumps({"loss": "mse", "optimizer": "adam"}).encode()
    layers(f.create_group("model_weights"), ["dense", "dense_1"])
    optimizer = f.create_group("optimizer_weights")
    optimizer.attrs["weight_names"] = [b"Adam/iter:0"]
    optimizer["Adam/iter:0"] = np.int64(7)


def keras_weights(f):
    layers(f, ["conv", "dense.a"])


def keras_3(f):
    for index in range(3):
        group = f.create_group(f"layers/dense_{index}/vars")
        f[f"layers/dense_{index}"].attrs["name"] = f"dense_{index}"
        group["0"] = np.full((2, 2), index, "f4")
    f["optimizer/vars/0"] = np.int64(3)


def flat(f):
    f["layer.weight"] = np.ones((2, 3), "f4")
    f["layer.bias"] = np.zeros(2, "f4")
    f["layer.bias"].attrs["trained"] = True
    f["classes"] = ["cat", "dog"]
    f.attrs["epoch"] = 12
    f.attrs["shape"] = np.arange(4).reshape(2, 2)
    f.attrs["odd"] = np.zeros(1, [("a", "i4"), ("b", "f8")])


def clash(f):
    f["a.b/w"] = np.zeros(2, "f4")
    f["a/b.w"] = np.ones(2, "f4")


FILES = {"keras_model": keras_model, "keras_weights": keras_weights, "keras_3": keras_3, "flat": flat, "clash": clash}


def told(f):
    """Digest of each dataset, and the places of all attributes."""
    digests, attributes = {}, {f"@{key}" for key in f.attrs}

    def visit(name, item):
        attributes.update(f"{name}@{key}" for key in item.attrs)
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf":
            digests[name] = hashlib.sha256(np.ascontiguousarray(item[()]).tobytes()).hexdigest()

    f.visititems(visit)
    return digests, attributes


def run(command, stdout=subprocess.PIPE):
    with subprocess.Popen(list(map(str, command)), stdout=stdout, stderr=subprocess.PIPE, text=True) as process:
        out, err = process.stdout.read() if process.stdout else "", process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, out, err, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def comes_back(migrate, ckpt, folder, name, options):
    path = folder / f"{name}.h5"
    with h5py.File(path, "w", **options) as f:
        FILES[name](f)
    with h5py.File(path, "r") as f:
        digests, attributes = told(f)
        config = f.attrs.get("model_config", b"")
    code, out, err, *_ = run([migrate, "--json", "--report", folder / "report.html", "-o", folder / "out", path])
    assert code == 0, (name, out, err)
    file = json.loads(out)["files"][0]
    assert attributes <= set(file["unmapped"]), (name, attributes - set(file["unmapped"]))
    report = (folder / "report.html").read_text()
    assert all(attribute in report for attribute in attributes), name
    listed = json.loads(run([ckpt, "ls", "--json", "--digest", file["target"]])[1])["tensors"]
    found = sorted(t["sha256"] for t in listed if "/unmapped/" not in t["name"] or "optimizer" in t["name"])
    assert found == sorted(digests.values()), (name, listed)
    tree = json.loads(run([ckpt, "tree", "--json", file["target"]])[1])
    top = dict(dict(tree["dict"])["reprise"]["dict"])
    unmapped = dict(top.get("unmapped", {"dict": []})["dict"])
    if name == "keras_model":
        assert unmapped["@model_config"] == config, "a description came back changed"
        assert unmapped["model_weights/dense_1@weight_names"] == {"list": ["dense_1/kernel:0", "dense_1/bias:0"]}
        assert {t["name"] for t in listed} >= {"model/dense.dense.kernel:0", "model/dense_1.dense_1.bias:0"}
    if name == "flat":
        assert unmapped["@epoch"] == 12 and unmapped["layer.bias@trained"] is True
        assert unmapped["model/classes"] == {"list": ["cat", "dog"]}, unmapped
        assert any("attribute @odd is of a type that is not read" in line for s in file["steps"] for line in s["changed"])
    assert run([ckpt, "verify", file["target"]])[0] == 0
    os.unlink(file["target"])
    os.unlink(folder / "report.html")


def attribute_bomb(f):
    for index in range(60):
        f.create_group(f"g{index}").attrs["many"] = np.zeros(60000, "S1")


def doubling(f):
    """Groups that hold the next one twice: 2^30 names for one tensor."""
    inner = f.create_group("g0")
    inner["w"] = np.zeros(2, "f4")
    for index in range(1, 30):
        outer = f.create_group(f"g{index}")
        outer["a"] = outer["b"] = inner
        inner = outer


def long_names(f):
    """A name of 60 KB in front of those of all attributes below it."""
    group = f.create_group("n" * 60000)
    for index in range(2000):
        group.create_group(f"{index}").attrs["a"] = index
    group["w"] = np.zeros(2, "f4")


def texts(f):
    for index in range(12):
        f.create_group(f"g{index}").attrs["t"] = [f"{i:05}" for i in range(3900)]


HOSTILE = {"attribute_bomb": attribute_bomb, "doubling": doubling, "long_names": long_names, "texts": texts}


def is_bounded(migrate, ckpt, folder, name):
    path = folder / f"{name}.h5"
    subprocess.run([sys.executable, __file__, "--make", name, path], check=True)
    size = path.stat().st_size
    for command in ([ckpt, "tree", "--json"], [ckpt, "tree"], [migrate, "--json", "-o", folder / "out"]):
        code, _, err, seconds, mebibytes = run([*command, path], subprocess.DEVNULL)
        limit = MEBIBYTES * max(1, size / 2**20)
        assert code in (0, 1, 12, 13), (name, code, err)
        assert seconds < SECONDS * max(1, size / 2**20) and mebibytes < limit, (name, command, seconds, mebibytes, size)
        print(f"{name} ({size} bytes): {command[0].name} {command[1]}: exit {code}, {seconds:.2f} s, {mebibytes:.0f} MiB")


def main():
    migrate, ckpt = (pathlib.Path(path).resolve() for path in sys.argv[-2:])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if sys.argv[1] == "--bounded":
            for file in HOSTILE:
                is_bounded(migrate, ckpt, folder, file)
            return
        for file in FILES:
            for options in ({}, {"libver": "latest"}):
                comes_back(migrate, ckpt, folder, file, options)
    subprocess.run([sys.executable, __file__, "--bounded", migrate, ckpt], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        with h5py.File(sys.argv[3], "w") as made:
            HOSTILE[sys.argv[2]](made)
    else:
        main()
