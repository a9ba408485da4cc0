#!/usr/bin/env bash
# Tests under sanitizers. quick: the quick cases under asan+ubsan. full: every case under asan+ubsan, then under tsan;
# the cases must be the very ones of the release build, and none may be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-full}
jobs=${JOBS:-$(nproc)}
scripts/setup.sh build sanitize

# tsan wants its shadow at fixed addresses: kernels that randomise 32 bits of an address leave it no room.
fixed=()
if setarch -R true 2>/dev/null; then fixed=(setarch -R); fi

build() {
  mkdir -p "$2"
  cmake --preset "$1" >"$2/configure.log" || { cat "$2/configure.log"; exit 1; }
  cmake --build --preset "$1" -j "$jobs"
}

cases() { ctest --preset "$1" -N | sed -n 's/^ *Test *#[0-9]*: //p' | sort; }

run() {
  local log=$2/sanitize.log
  "${fixed[@]}" ctest --preset "$1" -j "$jobs" "${@:3}" | tee "$log"
  if grep -qE '\(Skipped\)|\(Disabled\)|Not Run' "$log"; then
    echo "sanitize: error: some tests of $1 were skipped or not run" >&2
    exit 1
  fi
}

case $mode in
  quick)
    build asan-ubsan build-asan
    run asan-ubsan build-asan -L quick
    ;;
  full)
    build release build
    build asan-ubsan build-asan
    build tsan build-tsan
    cases release >build/cases.txt
    for pair in asan-ubsan:build-asan tsan:build-tsan; do
      cases "${pair%:*}" >"${pair#*:}/cases.txt"
      echo "sanitize: $(wc -l <build/cases.txt) tests in release, $(wc -l <"${pair#*:}/cases.txt") in ${pair%:*}"
      diff build/cases.txt "${pair#*:}/cases.txt" || { echo "sanitize: error: ${pair%:*} has other tests" >&2; exit 1; }
    done
    run asan-ubsan build-asan
    run tsan build-tsan
    ;;
  *)
    echo "sanitize: error: unknown mode '$mode': quick or full" >&2
    exit 2
    ;;
esac
