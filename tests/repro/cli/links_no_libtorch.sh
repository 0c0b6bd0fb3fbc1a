#!/usr/bin/env bash
# links_no_libtorch.sh PROGRAM: neither the program nor what it loads is LibTorch, CUDA or Python.
set -euo pipefail
libraries=$(ldd "$1" | awk '{print $1}')  # names, without places and addresses
grep -q libcrypto <<<"$libraries" || {
  echo "$1: ldd lists no libcrypto; is this the program?"
  exit 1
}
if grep -Ei 'torch|c10|cuda|cudart|nccl|mkl|python' <<<"$libraries"; then
  echo "$1 loads the libraries above"
  exit 1
fi
