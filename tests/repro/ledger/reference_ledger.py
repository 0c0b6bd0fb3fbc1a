"""A reader of ledgers, written a second time from docs/ledger-format.md.

Usage: reference_ledger.py RUN CKPT
Follows the chain of RUN/ledger.jsonl, works out `rng` of every line, and `param` and the tensors'
digests of every update at which a checkpoint was saved, from the values that h5py reads. CKPT is
the program that lists tensors in their order. Prints {"updates", "states", "tensors"}: how many of
each agreed; anything else is an error.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import reference_digest  # noqa: E402
from reference_digest import LEAF, M64, STEP, digest, mix64  # noqa: E402

HEADER = '{"ledger":1,"digest":"leaf64k-mul-1"}'
# Of a supervised checkpoint: what its parts are called in a ledger.
PARTS = {"backbone": "weights", "head": "weights", "optimizer": "optimizer", "ema": "ema"}


plain_leaf_node = reference_digest.leaf_node
KEYS = numpy.array([mix64(((lane + 1) * STEP) & M64) for lane in range(8)], numpy.uint64)
STRIPES = numpy.arange(LEAF // 64, dtype=numpy.uint64)[:, None] * numpy.uint64(STEP)


def leaf_node(data):
    """A whole leaf as arrays: the same sums as word by word, which takes minutes for a network."""
    if len(data) < LEAF:
        return plain_leaf_node(data)
    words = numpy.frombuffer(data, "<u8").reshape(-1, 8)
    v = words ^ (KEYS + STRIPES)
    lanes = ((v & numpy.uint64(0xFFFFFFFF)) * (v >> numpy.uint64(32))).sum(0, dtype=numpy.uint64)
    lanes += words.sum(0, dtype=numpy.uint64)[[1, 0, 3, 2, 5, 4, 7, 6]]
    a, b = 0x243F6A8885A308D3, 0x13198A2E03707344
    for total in map(int, lanes):
        a = mix64(a ^ total)
        b = mix64((b + total) & M64)
    return a, b


sample = reference_digest.sequence(LEAF, 7)
assert leaf_node(sample) == plain_leaf_node(sample)
reference_digest.leaf_node = leaf_node


def lines_of(path):
    text = path.read_text("utf-8")
    assert text.endswith("\n"), "torn"
    lines = text[:-1].split("\n")
    assert lines[0] == HEADER
    chain = hashlib.sha256(HEADER.encode()).hexdigest()
    for line in lines[1:]:
        fields = json.loads(line)
        assert fields["prev"] == chain, line
        chain = hashlib.sha256(line.encode()).hexdigest()
        yield fields, chain


def state_of(checkpoint, ckpt):
    """[(name in the ledger, digest)] in order."""
    listing = json.loads(subprocess.run([ckpt, "ls", "--json", checkpoint], check=True,
                                        capture_output=True).stdout)["tensors"]
    out = []
    with h5py.File(checkpoint) as file:
        for tensor in listing:
            part, name = tensor["name"].split("/", 1)
            values = numpy.asarray(file[tensor["name"]][()])
            full = f"{PARTS[part]}/{name}"
            out.append((full, digest(full, tensor["dtype"], list(values.shape), values.tobytes())))
    return out


def main():
    run, ckpt = pathlib.Path(sys.argv[1]), sys.argv[2]
    configuration = json.loads((run / "fingerprint.json").read_text())["predicate"][
        "buildDefinition"]["externalParameters"]["configuration"]
    saved = {}
    for path in (run / "checkpoints").glob("*.h5"):
        shown = json.loads(subprocess.run([ckpt, "show", "--json", path], check=True,
                                          capture_output=True).stdout)
        saved[shown["update"]] = state_of(path, ckpt)
    found = {"updates": 0, "states": 0, "tensors": 0}
    updates = [fields for fields, _ in lines_of(run / "ledger.jsonl") if "loss" in fields]
    per_epoch = sum(fields["epoch"] == 0 for fields in updates)
    for fields, _ in lines_of(run / "ledger.jsonl"):
        update = fields["update"]
        if "tensors" in fields:
            if update in saved:
                assert list(fields["tensors"].items()) == saved[update]
                found["tensors"] += len(saved[update])
            continue
        float.fromhex(fields["loss"])
        epoch, batch = divmod(update, per_epoch)
        text = f"philox4x32-10 seed {configuration['seed']} epoch {epoch} batch {batch}".encode()
        assert fields["rng"] == digest("random", "uint8", [len(text)], text)
        if update in saved:
            digests = b"".join(bytes.fromhex(d) for _, d in saved[update])
            whole = hashlib.sha256(b"reprise tensor list 1\n" + digests).hexdigest()[:32]
            assert fields["param"] == whole, f"update {update}"
            found["states"] += 1
        found["updates"] += 1
    print(json.dumps(found))


if __name__ == "__main__":
    main()
