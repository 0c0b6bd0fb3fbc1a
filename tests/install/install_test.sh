#!/usr/bin/env bash
# install_test.sh BUILD_FOLDER: what is installed works from where it is installed.
set -euo pipefail
build=$1
prefix=$(mktemp -d)
trap 'rm -rf -- "$prefix"' EXIT

fail() {
  echo "install_test: $1" >&2
  exit 1
}

cmake --install "$build" --prefix "$prefix" >"$prefix/log" 2>&1 || fail "$(cat "$prefix/log")"
# As a link in a folder of PATH, the way people make programs known.
mkdir "$prefix/link"
ln -s "$prefix/bin/reprise" "$prefix/link/reprise"
reprise=$prefix/link/reprise

# Into a variable: grep -q would end the pipe, and with it the program, early.
help=$("$reprise" --help)
tools=0
for program in "$prefix"/bin/reprise-*; do
  tool=${program##*/reprise-}
  tools=$((tools + 1))
  [[ $("$reprise" "$tool" --version) == "$("$program" --version)" ]] ||
    fail "reprise $tool does not run reprise-$tool"
  grep -qx "  $tool" <<<"$help" || fail "reprise --help does not list $tool"
  page=$prefix/share/man/man1/reprise-$tool.1
  grep -q '^\.SH NAME' "$page" || fail "$page is no man page"
  grep -q 'exit codes' "$page" || fail "$page has no exit codes"
  [[ -e $prefix/share/bash-completion/completions/reprise-$tool ]] || fail "no completion of $tool"
done
((tools >= 1)) || fail "no tool was installed"

# Where this build has a module, programs look for it at the same place from theirs.
if [[ -d $build/lib ]]; then
  module=$(cd "$build" && find lib -name reprise_nccl.so)
  cmp "$build/$module" "$prefix/$module" || fail "$module is not installed"
fi

status=0
message=$("$reprise" nonsense 2>&1) || status=$?
[[ $status == 2 && $message == *"no tool 'nonsense'"* ]] || fail "unknown tool: $status $message"
status=0
"$reprise" ../bin/reprise-ckpt >/dev/null 2>&1 || status=$?
[[ $status == 2 ]] || fail "a path is not a tool: $status"

# Completion knows tools, commands and options.
# complete_words WORD...: what bash would offer for the last word.
complete_words() {
  # shellcheck disable=SC2016  # expanded by the inner shell
  bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _reprise_complete
           printf "%s\n" "${COMPREPLY[@]}"' _ "$prefix/share/bash-completion/completions/reprise" "$@"
}
export PATH=$prefix/bin:$PATH
[[ $(complete_words reprise ck) == ckpt ]] || fail "reprise ck<TAB>"
[[ $(complete_words reprise ckpt veri) == verify ]] || fail "reprise ckpt veri<TAB>"
[[ $(complete_words reprise-ckpt veri) == verify ]] || fail "reprise-ckpt veri<TAB>"
[[ $(complete_words reprise ckpt verify --dee) == --deep ]] || fail "ckpt verify --dee<TAB>"
echo "$tools tools installed and run"
