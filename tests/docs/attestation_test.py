"""The command lines of docs/attestation.md, as they stand there, with the real openssl and
model_signing: they pass on what repro signed, and fail once a byte of it is another one.

Usage: attestation_test.py DOCUMENT REPRO PYTHON
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

document, repro, python = (pathlib.Path(argument) for argument in sys.argv[1:])
fenced = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.S | re.M)
blocks = [text for language, text in fenced if not language]


def block_with(text):
    found = [block for block in blocks if text in block]
    assert len(found) == 1, f"{len(found)} blocks of {document} have '{text}'"
    return found[0]


class Place:
    """A home of its own with runs/a and models/vit, in which the document's lines are typed."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        programs = self.root / "programs"
        programs.mkdir()
        (programs / "repro").symlink_to(repro.resolve())
        if (python.parent / "model_signing").exists():
            (programs / "model_signing").symlink_to(python.parent / "model_signing")
        path = f"{programs}:/usr/local/bin:/usr/bin:/bin"
        self.environment = {"PATH": path, "HOME": str(self.root), "LC_ALL": "C"}
        (self.root / "models/vit").mkdir(parents=True)
        (self.root / "models/vit/weights.h5").write_bytes(bytes(range(256)))
        self.must("repro capture -q -o runs/a")

    def run(self, lines):
        return subprocess.run(["bash", "-euc", lines], cwd=self.root, env=self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def must(self, lines):
        result = self.run(lines)
        assert result.returncode == 0, f"{lines}\nexit code {result.returncode}\n{result.stdout}"

    def must_fail(self, lines):
        result = self.run(lines)
        assert result.returncode != 0, f"{lines}\npassed\n{result.stdout}"


def flip(path, at):
    """Another byte at `at` of a file; again brings the old one back."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def envelopes_are_verified_by_openssl_alone(kind):
    with tempfile.TemporaryDirectory() as root:
        place = Place(root)
        sign = block_with("repro sign runs/a")
        place.must(sign.replace("repro keygen", f"repro keygen --type {kind}"))
        place.must(block_with("import base64"))
        lines = [line for line in block_with("openssl pkeyutl").splitlines() if f"# {kind}" in line]
        assert len(lines) == 1, f"{document} has {len(lines)} lines for {kind}"
        place.must(lines[0])
        for name in "pae", "sig":
            size = (place.root / name).stat().st_size
            for at in (0, size // 2, size - 1):
                flip(place.root / name, at)
                place.must_fail(lines[0])
                flip(place.root / name, at)
        place.must(lines[0])
        place.must("repro keygen --type " + kind + " other && cp other.pub release.pub")
        place.must_fail(lines[0])


def directories_are_verified_by_model_signing_and_the_other_way_round():
    if not (python.parent / "model_signing").exists():
        print(f"skipped: no model_signing beside {python}")
        return
    with tempfile.TemporaryDirectory() as root:
        place = Place(root)
        place.must(block_with("repro sign runs/a"))
        lines = block_with("model_signing verify")
        place.must(lines)
        flip(place.root / "models/vit/weights.h5", 128)
        for line in lines.splitlines():
            if " verify " in line:
                place.must_fail(line)


def statements_are_sealed_beside_themselves():
    """The spans of the section, with a statement that is there."""
    text = document.read_text()
    assert "`repro sign FILE.json`" in text and "`repro verify FILE.dsse.json --key PUB`" in text
    with tempfile.TemporaryDirectory() as root:
        place = Place(root)
        place.must(block_with("repro sign runs/a"))
        (example,) = (text for language, text in fenced if language == "json")
        (place.root / "verdict.json").write_text(example)
        place.must("repro sign verdict.json --key ~/keys/release.key")
        place.must("repro verify verdict.dsse.json --key release.pub")
        flip(place.root / "verdict.dsse.json", 40)
        place.must_fail("repro verify verdict.dsse.json --key release.pub")


for kind in "ecdsa-p256", "ecdsa-p384", "ed25519":
    envelopes_are_verified_by_openssl_alone(kind)
directories_are_verified_by_model_signing_and_the_other_way_round()
statements_are_sealed_beside_themselves()
