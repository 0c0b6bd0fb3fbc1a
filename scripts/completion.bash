# shellcheck shell=bash
# Completion for reprise and reprise-TOOL in bash. Commands and options are read from --help, so
# they are those of the installed version.

_reprise_complete() {
  local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} next=1
  COMPREPLY=()
  if [[ $(basename "$program") == reprise ]]; then
    if ((COMP_CWORD == 1)); then
      mapfile -t COMPREPLY < <(compgen -W "$("$program" --help | sed -n 's/^  \([a-z]*\)$/\1/p')" -- "$word")
      return
    fi
    program=$(dirname "$(command -v "$program")")/reprise-${COMP_WORDS[1]}
    next=2
  fi
  command -v "$program" >/dev/null || return

  local help commands command=()
  help=$("$program" --help 2>/dev/null)
  commands=$(sed -n '/^commands:$/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' <<<"$help")
  if [[ -n $commands ]] && ((COMP_CWORD > next)); then
    command=("${COMP_WORDS[next]}")
    help=$("$program" "${command[@]}" --help 2>/dev/null)
  fi
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '--[a-z][a-z0-9-]+' <<<"$help" | sort -u)" -- "$word")
  elif [[ -n $commands ]] && ((COMP_CWORD == next)); then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}

complete -o filenames -F _reprise_complete \
  reprise reprise-ckpt reprise-migrate reprise-repro reprise-train reprise-eval
