#!/usr/bin/env bash
# The main job on built-in data: ./run demo builds first and calls this. Everything it writes is
# below build/demo; the last line is the path of the report.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=demo/steps.sh
source "$root/demo/steps.sh"

PATH=$root/build/bin:$PATH
out=$root/build/demo
rm -rf -- "$out"
mkdir -p "$out"
cd "$out"
cp "$root/demo/v1-head.pth" .

roads=(--data builtin:roads --arch vit_tiny --image-size 64 --max-samples 512
  --max-eval-samples 128 --batch-size 32 --log-every 8)
settings=("${roads[@]}" --epochs 3)

# Waits until the ledger of a run has so many lines: one is written for each update.
wait_for_updates() {
  local run=$1 updates=$2 pid=$3
  until [[ -f $run/ledger.jsonl && $(wc -l <"$run/ledger.jsonl") -ge $updates ]]; do
    kill -0 "$pid" 2>/dev/null || surprise "training ended before update $updates; see $out/$run.log"
    sleep 0.1
  done
}

# A checkpoint as names and digests of tensors: everything but who wrote it and when.
tensor_digests() { ckpt ls --digest "$1" --json | python3 -c '
import json, sys
for tensor in json.load(sys.stdin)["tensors"]:
    print(tensor["sha256"], tensor["name"])' | sort; }

step "Train a steering model on generated road scenes, never stopped"
show train "${settings[@]}" --seed 7 --work-dir whole

step "Train it again, and stop it by SIGTERM in the middle of an epoch"
printf '%s$ train %s --seed 7 --work-dir stopped &%s\n' "$bold" "${settings[*]}" "$plain"
train "${settings[@]}" --seed 7 --work-dir stopped >stopped.log 2>&1 &
pid=$!
wait_for_updates stopped 22 "$pid"
printf '%s$ kill -TERM %d%s\n' "$bold" "$pid" "$plain"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
tail -n 3 stopped.log | sed 's/^/  /'
((status == 75)) || surprise "train ended with exit code $status, 75 (saved, start again) was expected"
say "exit code 75: saved; start again to resume"

step "Resume it"
show train --resume-from stopped

step "The bits are those of the run that never stopped"
tensor_digests 'whole/<last>' >whole.digests
tensor_digests 'stopped/<last>' >stopped.digests
cmp whole.digests stopped.digests || surprise "the two runs differ"
say "$(wc -l <whole.digests) tensors (weights, optimizer): every SHA-256 is equal"
show repro audit whole stopped

step "Two processes give the bits of one"
show train "${settings[@]}" --seed 7 --nproc 2 --jobs 1 --max-updates 8 --no-validate --work-dir two
cmp <(head -n 9 whole/ledger.jsonl) two/ledger.jsonl || surprise "the ledgers differ"
say "8 updates: data, loss, gradients and weights of each have equal digests"

step "Evaluate every saved epoch offline, and compare with what training logged"
show env eval whole --all --compare-origin

step "Look at a checkpoint, and verify all of them"
show ckpt show 'whole/<last>'
show ckpt verify 'whole/<ep1>' 'whole/<ep2>' 'whole/<ep3>'

step "Learn a backbone from images alone, put a head on it, and see where that came from"
show train --mode dino --arch vit_tiny --data builtin:digits --image-size 32 --patch-size 8 \
  --max-samples 256 --max-eval-samples 64 --batch-size 32 --epochs 1 --local-crops 2 \
  --out-dim 256 --head-hidden 128 --momentum-teacher 0.99 --work-dir runs/dino/1
show train --mode head --backbone 'runs/dino/1/<last>' --data builtin:digits \
  --max-samples 256 --max-eval-samples 64 --batch-size 32 --epochs 1 --work-dir runs/head/1
show env eval 'runs/head/1/<last>' --compare-origin
show ckpt lineage runs/head/1

step "A file of version 1, whose code is gone: what is in it, what would become of it, and the upgrade"
show ckpt scan v1-head.pth
show migrate --plan v1-head.pth
show migrate v1-head.pth
show ckpt verify v1-head.v5.h5

step "Go on with a run of version 4, whose optimizer was saved as an object"
ckpt convert 'whole/<ep1>' now.pth >/dev/null
python3 "$root/demo/version4.py" now.pth old-run.pth
rm now.pth
show migrate old-run.pth
show train --resume-from old-run.v5.h5 "${roads[@]}" --epochs 2 --max-updates 20 --work-dir went-on

step "Another run differs: where did they part, and why?"
show train "${settings[@]}" --seed 8 --max-updates 8 --work-dir other
expect 1 repro audit whole other

step "Two runs differ in one image of the training data"
python3 "$root/demo/images.py" images
tiny=(--data images --arch vit_tiny --image-size 16 --patch-size 8 --optimizer sgd --lr 0.01
  --epochs 1 --batch-size 4 --no-validate --seed 7 -q)
show train "${tiny[@]}" --work-dir all-images
python3 "$root/demo/images.py" images --change left/05.png
show train "${tiny[@]}" --work-dir one-image-changed
expect 1 repro audit all-images one-image-changed
repro audit --json all-images one-image-changed >audit.json || true
grep -q '"data.train.sha256"' audit.json || surprise "audit did not name the training data"
say "named: the training data are not the same"

step "Train a stretch of the first run again, and compare every line of its ledger"
show repro replay whole --from '<ep2>' --updates 4

step "Sign the run, and verify it as somebody else would"
mkdir keys  # not inside the run: what is signed holds no key
show repro keygen keys/demo
show repro sign whole --key keys/demo.key
show repro verify whole --key keys/demo.pub

step "Everything on one page"
show repro report whole stopped other -o report.html
[[ -s report.html ]] || surprise "repro report wrote no report.html"
printf '\nThe demo took %d s; what it made is in build/demo. The report:\n' \
  "$((SECONDS - demo_started))"
echo "$out/report.html"
