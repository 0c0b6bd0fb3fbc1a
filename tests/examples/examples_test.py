#!/usr/bin/env python3
"""What examples/ hold is whole: YAML of the right shape whose pods start over and resume, options
that exist, and a torchrun line that the real torchrun runs.

Usage: examples_test.py TRAIN SOURCE_DIR TORCHRUN. Exit code 77: no PyYAML.
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

train, source, torchrun = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
try:
    import yaml
except ImportError:
    print("skipped: no PyYAML")
    sys.exit(77)


def check_options(name, text):
    known = set(re.findall(r"--[a-z0-9][a-z0-9-]*", subprocess.run(
        [train, "--help"], check=True, text=True, capture_output=True).stdout))
    lines = [line for line in text.splitlines()
             if not line.startswith("#SBATCH")]
    others = {"--kill-on-bad-exit", "--standalone", "--nproc-per-node", "--no-python",
              "--nnodes", "--rdzv-backend", "--rdzv-endpoint"}  # of srun and torchrun
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", "\n".join(lines))) - others
    assert used, name
    assert used <= known, f"{name}: train has no {sorted(used - known)}"


def check_kubernetes(text):
    service, job = yaml.safe_load_all(text)
    assert (service["kind"], service["spec"]["clusterIP"]) == ("Service", "None")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"]
    assert pod["restartPolicy"] == "Never", "podFailurePolicy allows nothing else"
    assert spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [75]
    name = service["metadata"]["name"]
    assert pod["subdomain"] == name and service["spec"]["selector"] == {"job-name": name}
    container = pod["containers"][0]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["WORLD_SIZE"] == str(spec["completions"])
    assert variables["MASTER_ADDR"] == f"{job['metadata']['name']}-0.{name}"
    assert all(value is None or isinstance(value, str) for value in variables.values())
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted <= {one["name"] for one in pod["volumes"]}
    check_pods(container["args"][0], variables)


def check_pods(script, variables):
    """Pods whose predecessors died before the first save start over, and the next ones resume."""
    tiny = ("--arch vit_tiny --image-size 16 --patch-size 8 --max-samples 16 --batch-size 8 "
            "--no-validate --max-updates 2 --jobs 1 -q --epochs 100")
    assert "--epochs 100" in script and variables["WORLD_SIZE"] == "2"
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = pathlib.Path(name)
        probe.bind(("", 0))
        port = probe.getsockname()[1]
        probe.close()
        (folder / "reprise-train").symlink_to(train)
        run = folder / "runs" / "roads"
        (run / "checkpoints").mkdir(parents=True)
        (run / "config.toml").touch()
        # Of a save that the system killed for want of memory.
        (run / "checkpoints" / "checkpoint_vit_tiny.h5.tmp-7-node-1f3a").touch()
        here = {key: value for key, value in variables.items() if value is not None}
        here.update(os.environ, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RUN=str(run),
                    PATH=f"{folder}:{os.environ['PATH']}")
        for start in ("new weights", "resumed from"):
            pods = [subprocess.Popen(["bash", "-c", script.replace("--epochs 100", tiny)],
                                     env=dict(here, RANK=rank)) for rank in ("0", "1")]
            assert [pod.wait(60) for pod in pods] == [0, 0]
            assert start in (run / "train.log").read_text()
        assert len(list(run.parent.glob("roads-without-a-checkpoint-*"))) == 1


def check_torchrun():
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        subprocess.run(
            [source / "examples" / "torchrun.sh", *"--arch vit_tiny --image-size 16 --patch-size 8 "
             "--max-samples 16 --batch-size 8 --no-validate --epochs 1 --jobs 1 -q".split(),
             "--work-dir", run],
            check=True, env=dict(os.environ, TRAIN=train, TORCHRUN=torchrun, PROCESSES="2"))
        assert "world size: 2" in (run / "train.log").read_text()


for example in sorted((source / "examples").iterdir()):
    content = example.read_text()
    check_options(example.name, content)
    if example.suffix == ".sh":
        subprocess.run(["bash", "-n", example], check=True)
        assert os.access(example, os.X_OK), example
    elif example.suffix == ".yaml":
        check_kubernetes(content)
check_torchrun()
print("examples are whole")
