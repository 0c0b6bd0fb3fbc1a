# shellcheck shell=bash disable=SC2034  # read by the scripts that source this
# Debian packages by the task that needs them. docs/architecture.md says why each is used.

build_packages=(
  build-essential cmake ninja-build ccache mold pkg-config git ca-certificates
  libssl-dev libfmt-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev
  libhdf5-dev libzip-dev libdeflate-dev libgit2-dev libjpeg-dev libturbojpeg0-dev libpng-dev libgloo-dev
  libgtest-dev libgmock-dev
  python3-venv
)
test_packages=(hdf5-tools openssl gnuplot-nox chromium slurmctld slurmd slurm-client munge openmpi-bin strace)
demo_packages=()
bench_packages=(fio)
lint_packages=(clang-format clang-tidy clang shellcheck)
fuzz_packages=(clang libclang-rt-14-dev)
