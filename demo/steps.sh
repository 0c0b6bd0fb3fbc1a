# shellcheck shell=bash
# How the demo shows itself: numbered steps, each command before its output, the time it took, and
# an end at the first surprise. Sourced by demo/run.sh.

step_number=0
# shellcheck disable=SC2034  # read by demo/run.sh
demo_started=$SECONDS

bold=$(tput bold 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true)
[[ -t 1 ]] || bold='' plain=''

# step TITLE
step() {
  step_number=$((step_number + 1))
  printf '\n%s%d. %s%s\n' "$bold" "$step_number" "$1" "$plain"
}

# surprise MESSAGE: ends the demo.
surprise() {
  printf '\ndemo: step %d: %s\n' "$step_number" "$1" >&2
  exit 1
}

# expect EXIT_CODE PROGRAM...: shows and runs it; another exit code ends the demo. Through env, or
# the shell would take eval for its own.
expect() {
  local expected=$1 started=$SECONDS status=0
  shift
  printf '%s$ %s%s\n' "$bold" "$*" "$plain"
  env "$@" 2>&1 | sed 's/^/  /' || status=${PIPESTATUS[0]}
  if ((status != expected)); then
    surprise "'$1' ended with exit code $status, $expected was expected"
  fi
  if ((expected == 0)); then
    printf '  (%d s)\n' "$((SECONDS - started))"
  else
    printf '  (%d s, exit code %d, as it should)\n' "$((SECONDS - started))" "$expected"
  fi
}

show() { expect 0 "$@"; }

say() { printf '  %s\n' "$*"; }
