#!/usr/bin/env python3
"""`repro audit` of two ledgers of 1,000,000 updates that part at a random one: time and memory,
beside cmp, which says at which byte, and a Python program that reads both line by line."""

import hashlib
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, scratch  # noqa: E402

UPDATES = 1_000_000
BY_LINES = """import json, sys
for a, b in zip(open(sys.argv[1]), open(sys.argv[2])):
    if a != b:
        print(json.loads(a)["update"])
        break
"""
HEADER = '{"ledger":1,"digest":"leaf64k-mul-1"}'


def write(path, part_at):
    """A ledger by its format document; from `part_at` on the gradient is another one."""
    line = HEADER
    with open(path, "w") as file:
        file.write(line + "\n")
        for update in range(1, UPDATES + 1):
            grad = f"{update + (part_at <= update):032x}"
            line = (f'{{"update":{update},"epoch":{update // 5000},"samples":{update * 64},"batch":"{update:032x}",'
                    f'"loss":"0x1.8p-1","grad":"{grad}","param":"{grad}","rng":"{update:032x}",'
                    f'"prev":"{hashlib.sha256(line.encode()).hexdigest()}"}}')
            file.write(line + "\n")


def main():
    folder = scratch() / "audit"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    part_at = random.randint(1, UPDATES)
    write(folder / "a.jsonl", UPDATES + 1)
    write(folder / "b.jsonl", part_at)
    command = [binary("repro"), "audit", folder / "a.jsonl", folder / "b.jsonl", "--json", "-q"]
    peers = {"repro audit": command, "cmp": ["cmp", folder / "a.jsonl", folder / "b.jsonl"],
             "Python, line by line": [sys.executable, "-c", BY_LINES, folder / "a.jsonl", folder / "b.jsonl"]}
    seconds = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for name, program in peers.items():
            start = time.perf_counter()
            answer = subprocess.run(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
            if name == "repro audit":
                found = json.loads(answer.stdout)["first_divergence"]
                if found["update"] != part_at or found["what"] != "gradient":
                    sys.exit(f"wrong answer: {found}, they part at {part_at}")
    script = ("import os, subprocess, sys\np = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
              "print(os.wait4(p.pid, 0)[2].ru_maxrss)")
    peak = int(subprocess.run([sys.executable, "-c", script, *map(str, command)], capture_output=True, text=True).stdout) / 1024
    shutil.rmtree(folder)
    table = Table(f"Audit of two ledgers of {UPDATES:,} updates that part at {part_at:,}")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    table.times(medians, "repro audit")
    table.goal("time", medians["repro audit"], 2, " s")
    table.goal("memory", peak, 64, " MiB")
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
