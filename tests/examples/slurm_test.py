#!/usr/bin/env python3
"""Runs examples/slurm.sh on a Slurm cluster of this one machine, started for it and ended with it.

The job trains on two processes, gets SIGUSR1, saves, puts itself back into the queue, is started
again by Slurm and resumes; the run then has the ledger of one never stopped.

Usage: slurm_test.py TRAIN SOURCE_DIR. Exit code 77: Slurm is not installed or cannot run here.
"""

import ctypes
import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
OPTIONS = ("--arch vit_tiny --image-size 16 --patch-size 8 --batch-size 8 --shards 4 "
           "--max-samples 32 --no-validate --save-last-only --log-every 1 --jobs 1 -q").split()
UPDATES = "40"


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def adopt_orphans():
    """slurmd starts each slurmstepd as a daemon of its own, which would outlive the cluster."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


class Cluster:
    """munged, slurmctld and slurmd in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []
        self.environment = dict(os.environ, SLURM_CONF=str(folder / "slurm.conf"))

    def start(self):
        folder, host = self.folder, socket.gethostname().split(".")[0]
        for name in ("state", "spool", "munge"):
            (folder / name).mkdir()
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        munge_socket = folder / "munge" / "socket"
        (folder / "slurm.conf").write_text(f"""\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={getpass.getuser()}
SlurmdUser={getpass.getuser()}
AuthType=auth/munge
AuthInfo=socket={munge_socket}
CredType=cred/munge
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
""")
        self._daemon("munged", "--foreground", "--force", f"--socket={munge_socket}",
                     f"--key-file={key}", f"--log-file={folder}/munge/log",
                     f"--pid-file={folder}/munge/pid", f"--seed-file={folder}/munge/seed")
        self._wait("munged", munge_socket.exists)
        self._daemon("slurmctld", "-D", "-c", "-f", folder / "slurm.conf")
        self._daemon("slurmd", "-D", "-f", folder / "slurm.conf", "-N", host)
        self._wait("the node", lambda: "idle" in self("sinfo", "-h", "-o", "%T", check=False))

    def _daemon(self, name, *arguments):
        log = open(self.folder / f"{name}.out", "wb")
        program = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        self.daemons.append(subprocess.Popen([program, *map(str, arguments)], stdout=log, stderr=log,
                                             env=self.environment))

    def _wait(self, what, ready):
        for _ in range(200):
            if ready():
                return
            if any(daemon.poll() is not None for daemon in self.daemons):
                break
            time.sleep(0.1)
        logs = "".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}"
                       for log in self.folder.glob("*.out"))
        skip(f"{what} does not come up here\n{logs}")

    def __call__(self, *command, check=True):
        done = subprocess.run(command, env=self.environment, text=True, capture_output=True)
        if check and done.returncode:
            sys.exit(f"{command}: {done.stderr}")
        return done.stdout.strip()

    def stop(self):
        if len(self.daemons) == 3 and all(daemon.poll() is None for daemon in self.daemons):
            self("scancel", "--user", getpass.getuser(), check=False)
            for _ in range(200):
                if not self("squeue", "-h", check=False):
                    break
                time.sleep(0.1)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        # What slurmd leaves behind is ours since adopt_orphans().
        for stray in pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            try:
                os.kill(int(stray), signal.SIGKILL)
                os.waitpid(int(stray), 0)
            except (ProcessLookupError, ChildProcessError):
                pass


def wait_until(what, ready, job_log, seconds=90):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            log = job_log.read_text(errors="replace") if job_log.exists() else "no log"
            sys.exit(f"waited {seconds} s for {what}\n{log}")
        time.sleep(0.05)


def test(cluster, folder, train, source):
    run, whole, job_log = folder / "run", folder / "whole", folder / "job.log"
    subprocess.run([train, *OPTIONS, "--epochs", "10", "--max-updates", UPDATES, "--work-dir",
                    whole], check=True)
    cluster.environment.update(RUN=str(run), TRAIN=train)
    job = cluster("sbatch", "--parsable", "--nodes=1", "--ntasks-per-node=2", "--cpus-per-task=1",
                  "--overcommit", f"--output={job_log}", f"--chdir={folder}",
                  str(source / "examples" / "slurm.sh"), *OPTIONS, "--epochs", "10",
                  "--max-updates", UPDATES)
    rows = lambda: (run / "train.tsv").read_text().count("\n") if (run / "train.tsv").exists() else 0
    wait_until("a few updates", lambda: rows() > 5, job_log)
    cluster("scancel", "--signal=USR1", job)
    log = lambda: (run / "train.log").read_text() if (run / "train.log").exists() else ""
    wait_until("the requeue", lambda: "back into the queue" in log(), job_log)
    # Slurm holds a requeued job back for two minutes; nobody has to wait for that here.
    wait_until("the requeued job", lambda: cluster("squeue", "-h", "-o", "%T") == "PENDING", job_log)
    cluster("scontrol", "update", f"job={job}", "StartTime=now", check=False)
    try:
        wait_until("the resumed job", lambda: "start: resumed from" in log(), job_log, 150)
    except SystemExit:
        print(cluster("scontrol", "show", "job", job), cluster("scontrol", "show", "node"))
        raise
    wait_until("the end", lambda: f"update {UPDATES}: finished" in log(), job_log)
    assert "world size: 2" in log(), log()
    assert (run / "ledger.jsonl").read_bytes() == (whole / "ledger.jsonl").read_bytes()
    print("stopped by SIGUSR1, requeued, resumed on 2 processes: the ledger of a run never stopped")


def test_without_srun(cluster, folder, train):
    """A job's script that starts train itself, as people do who have one machine."""
    alone, job_log = folder / "alone", folder / "alone.log"
    command = " ".join([train, *OPTIONS, "--epochs", "1", "--nproc", "2", "--work-dir", str(alone)])
    cluster("sbatch", "--nodes=1", "--ntasks=2", "--overcommit", f"--output={job_log}",
            f"--chdir={folder}", "--wrap", command)
    log = lambda: (alone / "train.log").read_text() if (alone / "train.log").exists() else ""
    wait_until("the end of a job without srun", lambda: ": finished" in log(), job_log)
    assert "world size: 2" in log(), log()
    print("a job's script started two processes without srun")


def main():
    train, source = sys.argv[1], pathlib.Path(sys.argv[2])
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol")
               if shutil.which(name, path=search) is None]
    if missing:
        skip(f"not installed: {', '.join(missing)} (Debian: slurmctld slurmd slurm-client munge)")
    if os.geteuid() != 0:
        skip("slurmd has to run as root here")
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="reprise-slurm-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o711)  # munge wants its socket to be reachable
        cluster = Cluster(folder)
        try:
            cluster.start()
            test(cluster, folder, train, source)
            test_without_srun(cluster, folder, train)
        finally:
            cluster.stop()


main()
