"""A disk that fails under a mapped source, at its beginning, in the middle and at its end, and one that gives back
something else than was written: an I/O error that names the file, no signal, nothing published, and the source as it was.

Usage: failing_disk_test.py MIGRATE FAILING_READS
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import torch


def run(command, **environment):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True,
                          env={**os.environ, **{key: str(value) for key, value in environment.items()}})


def main():
    migrate, failing = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source, out = folder / "large.pth", folder / "out"
        torch.save({"model": {f"w{i}": torch.full((1 << 20,), float(i)) for i in range(20)}}, source)  # 80 MiB
        before = source.read_bytes()
        whole = run([migrate, source, "-o", folder / "whole"], LD_PRELOAD=failing, FAILING_COUNT=1)
        assert whole.returncode == 0, whole.stderr
        populated = int(re.search(r"populated (\d+)", whole.stderr).group(1))
        assert populated > 20, whole.stderr
        for number in (1, 2, populated // 4, populated // 2, populated - 2):
            result = run([migrate, source, "-o", out, "--json"], LD_PRELOAD=failing, FAILING_POPULATE=number)
            assert result.returncode == 1, (number, result.returncode, result.stderr)
            file = json.loads(result.stdout)["files"][0]
            assert file["exit_code"] == 11 and "large" in file["error"], (number, file)
            assert not list(out.glob("*")) and not list(out.glob(".*")), (number, list(out.iterdir()))
            assert source.read_bytes() == before
        for number in (1, 2, 17, 40):
            result = run([migrate, source, "-o", out, "--json"], LD_PRELOAD=failing, FAILING_FLIP=number)
            assert result.returncode == 1, (number, result.returncode, result.stderr)
            file = json.loads(result.stdout)["files"][0]
            assert file["exit_code"] == 11 and "reads back differently" in file["error"], (number, file)
            assert not list(out.glob("*")) and not list(out.glob(".*")), (number, list(out.iterdir()))
        again = run([migrate, source, "-o", out])
        assert again.returncode == 0, again.stderr
        result = (out / "large.v5.h5").read_bytes()
        assert result == (folder / "whole" / "large.v5.h5").read_bytes()
        assert result.count(hashlib.sha256(before).hexdigest().encode()) == 1, "the result does not name its source"
    print(f"{populated} places")


if __name__ == "__main__":
    main()
