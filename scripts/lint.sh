#!/usr/bin/env bash
# ./run lint: what a machine can say about style and faults. --fix formats instead of complaining;
# --since COMMIT gives clang-tidy only the sources that changed since then;
# --no-tidy leaves out clang-tidy (minutes); --all gives it tests, and the rooms that use LibTorch,
# too (whose headers cost it 10 s a file).
# shellcheck disable=SC2317  # the check_ functions are called through check
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

fix=0 tidy=1 everything=0 since=
while (($#)); do
  case $1 in
    --fix) fix=1 ;;
    --no-tidy) tidy=0 ;;
    --all) everything=1 ;;
    --since)
      since=${2:-}
      git rev-parse --quiet --verify "$since^{commit}" >/dev/null || die 2 "no commit '$since'"
      shift
      ;;
    *) die 2 "lint takes --fix, --no-tidy, --all, --since COMMIT; not '$1'" ;;
  esac
  shift
done

install_packages "${build_packages[@]}" "${lint_packages[@]}"

status=0
# check NAME COMMAND...: runs it, remembers a failure, goes on.
check() {
  local name=$1 started=$SECONDS
  shift
  if "$@"; then
    say "lint: $name: ok ($((SECONDS - started)) s)"
  else
    say "lint: $name: FAILED"
    status=1
  fi
}

# Files git knows or would add: a new file is checked before it is committed.
files() { git ls-files --cached --others --exclude-standard -- "$@"; }

check_format() {
  local options=(--dry-run -Werror)
  ((fix)) && options=(-i)
  files '*.h' '*.cpp' '*.cu' | xargs --no-run-if-empty clang-format "${options[@]}"
}

check_shell() {
  local scripts
  mapfile -t scripts < <(files | xargs grep -lE '^#!.*(bash|/sh)( |$)|^# shellcheck shell=' --)
  shellcheck -x "${scripts[@]}"
}

# Words that have no place in a file that others read: notes to oneself, paths of one's machine,
# where packages come from (the package managers know).
check_words() {
  local words='\b(TODO|FIXME|XXX|HACK)\b|(^|[^[:alnum:]_.])/(root|home/[a-z]+|work)/|index-url'
  ! files | grep -vE '^scripts/lint\.sh$' | xargs -d '\n' grep -nIE "$words" --
}

check_text() {
  ! files | grep -vE '\.(patch|diff|golden|txt)$|/(golden|damaged|fixtures)/' |
    xargs -d '\n' grep -nIP '[ \t]+$|\r$' --
}

check_tidy() {
  local preset=tools pattern="^$PWD/(ckpt|migrate|repro)/.*\.cpp$"
  if ((everything)); then
    preset=default pattern='\.cpp$'
    [[ -n ${REPRISE_LIBTORCH:-} ]] || install_python
  fi
  configure "$preset"
  local chosen=("$pattern")
  if [[ -n $since ]]; then
    mapfile -t chosen < <(git diff --name-only --diff-filter=d "$since" -- '*.cpp' |
      sed "s|.*|$PWD/&|" | grep -E "$pattern")
    ((${#chosen[@]})) || return 0
  fi
  run-clang-tidy -quiet -p "build/$preset" -j "$jobs" "${chosen[@]}" >"build/$preset/tidy.log" 2>&1 || {
    grep -E '(warning|error):' "build/$preset/tidy.log" | sort -u >&2
    say "the whole report: build/$preset/tidy.log"
    return 1
  }
}

check "formatting (clang-format)" check_format
check "shell scripts (shellcheck)" check_shell
check "words" check_words
check "blanks at line ends" check_text
check "layering" python3 -B tests/layering/check_layering.py .
((tidy)) && check "static analysis (clang-tidy)" check_tidy
exit "$status"
