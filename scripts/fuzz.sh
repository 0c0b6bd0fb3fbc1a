#!/usr/bin/env bash
# ./run fuzz TARGET|all SECONDS: libFuzzer with AddressSanitizer and UBSan, so many seconds a target.
# The corpus grows in build/fuzz/corpus/TARGET, from the seeds in tests/fuzz/seeds/TARGET; an input
# that breaks the target is kept in build/fuzz/found/TARGET. With all, a target runs on each core.
# REPRISE_FUZZ_SEED=N draws the same inputs each time, for who must not fail by chance.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

targets() { sed -n 's/^reprise_fuzz_target(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt; }

# fuzz TARGET SECONDS
fuzz() {
  local target=$1 seconds=$2
  local corpus=build/fuzz/corpus/$target found=build/fuzz/found/$target
  local seeds=tests/fuzz/seeds/$target
  mkdir -p "$corpus" "$found"
  [[ -d $seeds ]] || seeds=
  "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=10 \
    -seed="${REPRISE_FUZZ_SEED:-0}" \
    -artifact_prefix="$found/" -print_final_stats=1 "$corpus" ${seeds:+"$seeds"}
}

# fuzz_quietly TARGET SECONDS: one line, or everything it said when it found something.
fuzz_quietly() {
  local log
  log=$(mktemp)
  if fuzz "$@" >"$log" 2>&1; then
    say "fuzzing $1 for $2 s: nothing found in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    rm -f "$log"
  else
    cat "$log"
    rm -f "$log"
    die 1 "fuzzing $1 found an input that breaks it, kept in build/fuzz/found/$1"
  fi
}

if (($# == 0)); then
  targets
  exit 0
fi
(($# == 2)) || die 2 "usage: ./run fuzz TARGET|all SECONDS; targets: $(targets | xargs)"
target=$1 seconds=$2
[[ $target == all ]] || targets | grep -qxF -- "$target" ||
  die 2 "no fuzz target '$target'; there are: $(targets | xargs)"
[[ $seconds =~ ^[0-9]+$ ]] || die 2 "SECONDS is a whole number, not '$seconds'"

install_packages "${build_packages[@]}" "${fuzz_packages[@]}"
build fuzz

if [[ $target == all ]]; then
  export -f fuzz fuzz_quietly say die
  # shellcheck disable=SC2016  # for the shell that xargs starts
  targets | xargs -P "$(nproc)" -I{} bash -c 'fuzz_quietly "$1" "$2"' - {} "$seconds"
else
  say "fuzzing $target for $seconds s; inputs that break it are kept in build/fuzz/found/$target"
  fuzz "$target" "$seconds"
fi
