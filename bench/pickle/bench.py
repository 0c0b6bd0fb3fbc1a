#!/usr/bin/env python3
"""A pickle of a million small objects: our machine beside Python's C unpickler, time and memory."""

import pathlib
import pickle
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary, scratch  # noqa: E402

COUNT = 1_000_000
KINDS = {
    "dicts of three entries": lambda: [{"id": i, "name": f"item{i}", "score": i * 0.5} for i in range(COUNT)],
    "tuples of three": lambda: [(i, f"item{i}", i * 0.5) for i in range(COUNT)],
}
PEER = """
import pickle, re, sys, time
def peak_kib():  # not getrusage(), whose peak a process inherits from its parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
data = open(sys.argv[1], "rb").read()
before = peak_kib()
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    root = pickle.loads(data)
    print(time.perf_counter() - start, peak_kib() - before)
    del root
"""


def measure(command):
    """Median seconds, and KiB that the first reading added."""
    lines = [line.split() for line in subprocess.check_output(command, text=True).splitlines()]
    return statistics.median(float(line[0]) for line in lines), int(lines[0][1])


def main():
    missed = 0
    for kind, make in KINDS.items():
        path = scratch() / "million.pkl"
        path.write_bytes(pickle.dumps(make(), protocol=4))
        ours, our_kib = measure([binary("bench_pickle"), path, str(ROUNDS)])
        peer, peer_kib = measure([sys.executable, "-c", PEER, path, str(ROUNDS)])
        path.unlink()
        table = Table(f"Reading a pickle of a million {kind}")
        table.times({"ours": ours, "Python's C unpickler": peer}, "ours")
        table.goal("times faster", peer / ours, 2, at_most=False)
        table.goal("memory, ours / Python's", our_kib / peer_kib, 1)
        missed += table.missed
    return missed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
