#!/usr/bin/env python3
"""The sum of 100 MB of gradients over 2 and 4 processes: our fixed tree beside c10d's all-reduce.

c10d moves bytes with Gloo over the loopback, ours through memory; only ours adds in an order that
the number of processes does not change. A round starts each once and takes the median of ten sums.
"""

import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from side_by_side import ROUNDS, Table, binary  # noqa: E402

ELEMENTS = 25_000_000
SUMS = 10


def ours(world):
    output = subprocess.run([binary("reduce_bench"), str(world), str(ELEMENTS), str(SUMS)],
                            check=True, text=True, capture_output=True).stdout
    return statistics.median(map(float, output.split()))


def peer():
    """One process of c10d's: run by peers()."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ["WORLD_SIZE"])))
    dist.init_process_group("gloo")
    values = torch.zeros(ELEMENTS)
    for round_ in range(SUMS + 1):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(values)
        dist.barrier()
        if round_ and dist.get_rank() == 0:
            print(time.perf_counter() - start)
    dist.destroy_process_group()


def peers(world):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [subprocess.Popen(
        [sys.executable, __file__, "peer"], stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1",
                 MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")) for rank in range(world)]
    output = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("the peer failed")
    return statistics.median(map(float, output[0].split()))


def main():
    table = Table("Sum of 100 MB over processes")
    for world in (2, 4):
        times = {"ours": [], "c10d": []}
        for _ in range(ROUNDS):
            times["ours"].append(ours(world))
            times["c10d"].append(peers(world))
        medians = {f"fixed tree, {world} processes": statistics.median(times["ours"]),
                   f"c10d all-reduce, {world} processes": statistics.median(times["c10d"])}
        table.times(medians, f"fixed tree, {world} processes")
        table.goal(f"ours / c10d, {world} processes",
                   statistics.median(a / b for a, b in zip(times["ours"], times["c10d"])), 1.0)
    print(f"\n{table.missed} goals missed" if table.missed else "\nall goals met")


if __name__ == "__main__":
    peer() if sys.argv[1:] == ["peer"] else main()
