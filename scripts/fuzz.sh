#!/usr/bin/env bash
# ./run fuzz TARGET SECONDS: libFuzzer with AddressSanitizer and UBSan. The corpus grows in
# build/fuzz/corpus/TARGET, from the seeds in tests/fuzz/seeds/TARGET; an input that breaks the target
# is kept in build/fuzz/found/TARGET.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

targets() { sed -n 's/^reprise_fuzz_target(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt; }

if (($# == 0)); then
  targets
  exit 0
fi
(($# == 2)) || die 2 "usage: ./run fuzz TARGET SECONDS; targets: $(targets | xargs)"
target=$1 seconds=$2
targets | grep -qxF -- "$target" || die 2 "no fuzz target '$target'; there are: $(targets | xargs)"
[[ $seconds =~ ^[0-9]+$ ]] || die 2 "SECONDS is a whole number, not '$seconds'"

install_packages "${build_packages[@]}" "${fuzz_packages[@]}"
build fuzz

corpus=build/fuzz/corpus/$target found=build/fuzz/found/$target seeds=tests/fuzz/seeds/$target
mkdir -p "$corpus" "$found"
[[ -d $seeds ]] || seeds=
say "fuzzing $target for $seconds s; inputs that break it are kept in $found"
"build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=10 \
  -artifact_prefix="$found/" -print_final_stats=1 "$corpus" ${seeds:+"$seeds"}
