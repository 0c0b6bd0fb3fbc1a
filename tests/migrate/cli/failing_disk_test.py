"""A disk that fails under a mapped source, at its beginning, in the middle and at its end: an I/O error that names the
file, no signal, nothing published, and the source as it was.

Usage: failing_disk_test.py MIGRATE FAILING_READS
"""

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
        again = run([migrate, source, "-o", out])
        assert again.returncode == 0, again.stderr
        assert (out / "large.v5.h5").read_bytes() == (folder / "whole" / "large.v5.h5").read_bytes()
    print(f"{populated} places")


if __name__ == "__main__":
    main()
