#!/usr/bin/env python3
"""`ckpt scan` beside picklescan on the same files: the legacy files of shared/, one process each."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROOT, Table, binary, scratch, take_turns  # noqa: E402


def timed(command):
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # exit 1: something was found
    return time.perf_counter() - start


def picklescan():
    """The folder of picklescan 0.0.30, installed beside the benchmark's scratch files."""
    if importlib.util.find_spec("picklescan"):
        return None
    folder = scratch() / "picklescan"
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", folder, "picklescan==0.0.30"], check=True)
    return str(folder)


def main():
    shared = pathlib.Path(os.environ.get("REPRISE_SHARED", ROOT.parent / "shared")) / "legacy"
    if not shared.exists():
        print(f"skipped: {shared} is missing; set REPRISE_SHARED")
        return 0
    files = sorted(str(p) for folder in ("ma", "dialects", "containers") for p in (shared / folder).rglob("*.p*")
                   if p.suffix in (".pth", ".pt", ".pts"))
    folder = picklescan()
    environment = {**os.environ, **({"PYTHONPATH": folder} if folder else {})}

    def peer():
        start = time.perf_counter()
        for part in ("ma", "dialects", "containers"):
            subprocess.run([sys.executable, "-m", "picklescan", "--path", shared / part], env=environment,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start

    medians = take_turns({"ckpt scan": lambda: timed([binary("ckpt"), "scan", *files]), "picklescan": peer})
    table = Table(f"Scanning {len(files)} files")
    table.times(medians, "ckpt scan")
    table.goal("times faster", medians["picklescan"] / medians["ckpt scan"], 20, at_most=False)
    return table.missed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
