# shellcheck shell=bash
# What every task of ./run shares: messages, installing, building. Sourced from the repository root.

say() { printf '== %s\n' "$*" >&2; }

# die EXIT_CODE MESSAGE
die() {
  printf 'run: %s\n' "$2" >&2
  exit "$1"
}

# shellcheck source=scripts/packages.sh
source scripts/packages.sh

cache_dir=${XDG_CACHE_HOME:-${HOME:?}/.cache}/reprise
export REPRISE_PYTHON=$cache_dir/python/bin/python
export REPRISE_SHARED=${REPRISE_SHARED:-$PWD/../shared}

# A file that uses LibTorch takes up to 1.6 GB to compile.
default_jobs() {
  local cores memory_kb
  cores=$(nproc)
  memory_kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  local by_memory=$((memory_kb / 1600000))
  ((by_memory < 1)) && by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}
jobs=${REPRISE_JOBS:-$(default_jobs)}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    return 127
  fi
}

# install_packages NAME...: asks dpkg first, so that nothing is run when nothing is missing.
install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: these packages, or what they are called here, have to be there: $*"
    return
  fi
  local missing
  missing=$(comm -13 \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
      sed -n 's/^installed //p' | sort -u) \
    <(printf '%s\n' "$@" | sort -u) | tr '\n' ' ')
  [[ -n ${missing// /} ]] || return 0
  say "installing with apt: $missing"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
  # shellcheck disable=SC2086  # a list of package names
  if ! { as_root "${apt[@]}" update -q &&
    as_root "${apt[@]}" install -q -y --no-install-recommends $missing; } >&2; then
    die 11 "apt could not install: $missing- run this as root or with sudo, with network, or
install them by hand"
  fi
}

# The Python environment with LibTorch (from the PyTorch wheel) and the peers that interop tests and
# benchmarks talk to. A stamp holds the digest of the pinned list: a changed list installs again.
install_python() {
  local list=cmake/python-requirements.txt stamp=$cache_dir/python/requirements.sha256 wanted
  wanted=$(sha256sum <"$list")
  [[ -x $REPRISE_PYTHON && -f $stamp && $(<"$stamp") == "$wanted" ]] && return
  mkdir -p "$cache_dir"
  (
    flock -n 9 || {
      say "another ./run is installing Python packages: waiting for it"
      flock 9
    }
    [[ -x $REPRISE_PYTHON && -f $stamp && $(<"$stamp") == "$wanted" ]] && exit 0
    say "installing with pip into $cache_dir/python: $(grep -v '^#' "$list" | xargs)"
    say "(the first time this downloads about 3 GB and takes minutes)"
    [[ -x $REPRISE_PYTHON ]] || python3 -m venv "$cache_dir/python"
    "$REPRISE_PYTHON" -m pip install --quiet --disable-pip-version-check --no-input \
      --requirement "$list"
    echo "$wanted" >"$stamp"
  ) 9>"$cache_dir/python.lock" ||
    die 11 "pip could not install $list: check network and free disk space (7 GB), then again"
}

# configure PRESET: where the presets or the settings changed since the last time.
configure() {
  local preset=$1 dir=build/$1 stamp=build/$1/configured.sha256 settings
  local options=("-DREPRISE_SHARED_DIR=$REPRISE_SHARED" "-DREPRISE_PYTHON=$REPRISE_PYTHON"
    "-DREPRISE_LIBTORCH=${REPRISE_LIBTORCH:-}")
  settings=$(echo "${options[@]}" | cat - CMakePresets.json | sha256sum)
  [[ ! -f $dir/build.ninja || ! -f $stamp || $(<"$stamp") != "$settings" ]] || return 0
  say "configuring (cmake --preset $preset)"
  mkdir -p "$dir"
  if ! cmake --preset "$preset" "${options[@]}" >"$dir/configure.log" 2>&1; then
    cat "$dir/configure.log" >&2
    die 1 "configuring preset '$preset' failed (above)"
  fi
  echo "$settings" >"$stamp"
}

# build PRESET [TARGET...]: configures, compiles all or these, and for presets that people run points build/bin at the
# binaries.
build() {
  local preset=$1 targets=()
  shift
  if (($#)); then targets=(--target "$@"); fi
  configure "$preset"
  say "building (cmake --build --preset $preset --parallel $jobs ${targets[*]})"
  cmake --build --preset "$preset" --parallel "$jobs" "${targets[@]}" >&2 ||
    die 1 "building preset '$preset' failed"
  case $preset in
    default | tools | cuda | release)
      ln -sfn "$preset/bin" build/bin
      ln -sfn "$preset/compile_commands.json" build/compile_commands.json
      ;;
  esac
}
