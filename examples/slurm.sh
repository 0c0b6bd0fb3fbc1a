#!/usr/bin/env bash
# Trains on two nodes with four processes each. Submit it again and again, or let it requeue itself:
# it goes on where it stopped, with the same bits on any number of nodes.
#
#   RUN=runs/roads sbatch examples/slurm.sh --data builtin:roads --epochs 100
#
# SIGUSR1 comes three minutes before the time is up: train saves, and --requeue puts the job back
# into the queue. scancel ends it for good, saved as well.
#SBATCH --job-name=reprise
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

: "${RUN:?say in RUN which directory the run is to have}"
train=${TRAIN:-reprise-train}

# What a save that was killed left behind, *.h5.tmp-..., is no checkpoint.
if compgen -G "$RUN/checkpoints/*.h5" >/dev/null; then
  start=(--resume-from "$RUN")
else
  # A directory without a checkpoint is of a job that ended before it had saved.
  [[ ! -e $RUN ]] || mv "$RUN" "$RUN-without-a-checkpoint-$(date +%s)"
  start=(--work-dir "$RUN" "$@")
fi

exec srun --kill-on-bad-exit=1 "$train" "${start[@]}" --requeue
