#!/usr/bin/env python3
"""What capturing costs, beside what git and the bare command cost.

Prints one line a figure: ours, peer, ratio, goal. Exits 1 when a goal is missed. Every figure is the
median of paired runs, ours and the peer's in turn, on files that the page cache holds.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

FILES = 10_000
FILE_BYTES = 3_000  # the mean of a source file


def timed(command, cwd, setup=None):
    if setup:
        setup()
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=False, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def paired(ours, peer, rounds):
    """Medians of alternating runs."""
    ours_s, peer_s = [], []
    for _ in range(rounds):
        ours_s.append(ours())
        peer_s.append(peer())
    return statistics.median(ours_s), statistics.median(peer_s)


def make_repository(root):
    """10,000 text files in 100 directories, committed, with 20 changed and 20 untracked ones."""
    for i in range(FILES):
        folder = os.path.join(root, f"part{i % 100:02}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"file{i:05}.py"), "w", encoding="utf-8") as file:
            line = f"value_{i} = compute(argument_{i}, depth={i % 7})\n"
            file.write(line * (FILE_BYTES // len(line)))
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in (["git", "init", "-q"], ["git", "add", "-A"],
                    ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"]):
        subprocess.run(command, cwd=root, check=True, env=environment)
    for i in range(20):
        with open(os.path.join(root, f"part00/file{i * 100:05}.py"), "a", encoding="utf-8") as file:
            file.write("changed = True\n")
        with open(os.path.join(root, f"part01/new{i}.py"), "w", encoding="utf-8") as file:
            file.write("new = True\n")
    # Past the second in which git cannot tell a changed file by its time.
    time.sleep(1.1)
    subprocess.run(["git", "status"], cwd=root, check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repro", default="build/bin/repro")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    repro = os.path.abspath(arguments.repro)
    python = os.path.realpath(sys.executable)
    scratch = tempfile.mkdtemp(prefix="reprise-bench-")
    rows = []

    def row(name, ours, peer, peer_name, goal, met):
        rows.append({"figure": name, "ours_ms": round(ours * 1e3, 2),
                     "peer_ms": round(peer * 1e3, 2), "peer": peer_name,
                     "ratio": round(ours / peer, 3) if peer else None, "goal": goal, "met": met})

    try:
        repository = os.path.join(scratch, "repository")
        make_repository(repository)
        out = os.path.join(scratch, "out")

        def capture(*options):
            return timed([repro, "capture", "-q", "-o", out, *options], repository,
                         lambda: shutil.rmtree(out, ignore_errors=True))

        # Hashing as git hashes: every file of the working copy, tracked or not.
        peer = "git status && git ls-files | git hash-object"
        status_and_hash = ["sh", "-c", "git status --porcelain -uall >/dev/null && git ls-files -z -co "
                           "--exclude-standard | tr '\\0' '\\n' | git hash-object --stdin-paths"]
        ours, theirs = paired(lambda: capture("--no-snapshot"),
                              lambda: timed(status_and_hash, repository), arguments.rounds)
        row("fingerprint of 10,000 files", ours, theirs, peer, "<= 1 s and <= 1.5 x peer",
            ours <= 1 and ours <= 1.5 * theirs)
        # The snapshot reads, scans, packs and syncs 30 MB besides; git archive only packs them.
        ours, theirs = paired(capture, lambda: timed(
            ["sh", "-c", "git status --porcelain -uall >/dev/null && git archive -o ../peer.zip -0 "
             "HEAD && sync ../peer.zip"], repository), arguments.rounds)
        row("fingerprint and snapshot of 10,000 files", ours, theirs,
            "git status && git archive -0 && sync", "<= 1 s", ours <= 1)

        small = os.path.join(scratch, "small")
        os.makedirs(small)
        command = [python, "-c", "pass"]
        ours, theirs = paired(
            lambda: timed([repro, "run", "-q", "-o", out, "--", *command], small,
                          lambda: shutil.rmtree(out, ignore_errors=True)),
            lambda: timed(command, small), arguments.rounds * 3)
        row("run of python -c pass: added", ours - theirs, theirs, "the bare command",
            "<= 100 ms added", ours - theirs <= 0.1)

        for run in ("a", "b"):
            subprocess.run([repro, "run", "-q", "-o", os.path.join(scratch, run), "--", *command],
                           cwd=small, check=True)
        ours, theirs = paired(lambda: timed([repro, "diff", "a", "b"], scratch),
                              lambda: timed(["true"], scratch), arguments.rounds * 5)
        row("diff of two fingerprints", ours, theirs, "/bin/true", "<= 15 ms", ours <= 0.015)
        ours, theirs = paired(lambda: timed([repro, "--version"], scratch),
                              lambda: timed(["git", "--version"], scratch), arguments.rounds * 5)
        row("repro --version", ours, theirs, "git --version", "<= 15 ms", ours <= 0.015)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    if arguments.json:
        print(json.dumps({"figures": rows}, indent=2))
    else:
        print(f"{'figure':<42} {'ours':>10} {'peer':>10} {'ratio':>7}  goal")
        for r in rows:
            print(f"{r['figure']:<42} {r['ours_ms']:>7.1f} ms {r['peer_ms']:>7.1f} ms "
                  f"{r['ratio']:>7.2f}  {r['goal']}  {'ok' if r['met'] else 'MISSED'}  ({r['peer']})")
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
