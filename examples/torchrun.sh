#!/usr/bin/env bash
# Starts one process a core group with PyTorch's launcher, on this machine:
#
#   PROCESSES=4 examples/torchrun.sh --data builtin:roads --epochs 10 --work-dir runs/roads
#
# On several machines, give each the same --rdzv-endpoint in place of --standalone:
#   torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint node1:29400 \
#     --no-python reprise-train ...
set -euo pipefail

torchrun=${TORCHRUN:-torchrun}
train=${TRAIN:-reprise-train}

exec "$torchrun" --standalone --nproc-per-node "${PROCESSES:-2}" --no-python "$train" "$@"
