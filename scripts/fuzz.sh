#!/usr/bin/env bash
# The fuzzers of tests/fuzz: scripts/fuzz.sh MODE [SECONDS] [TARGET...]
#   quick    the kept corpus, then 10,000 inputs for each target, the same ones in each run: for CI
#   run      SECONDS (600) for each target; what is new goes to build-asan/fuzz/corpus, what is found to build-asan/fuzz/found
#   planted  every target must find the bug that is planted in its second program, in SECONDS (300)
#   keep     adds what build-asan/fuzz/corpus has to tests/fuzz/corpus, the fewest short inputs for the same edges
# JOBS targets are run at a time. A found input becomes a test by a copy into tests/fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-quick}
seconds=${2:-}
targets=("${@:3}")
jobs=${JOBS:-$(nproc)}
all=(safetensors json tokenizer recipe corpora shards state metrics reference)
if [ ${#targets[@]} = 0 ]; then targets=("${all[@]}"); fi
build=build-asan
work=$build/fuzz
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0
export UBSAN_OPTIONS=print_stacktrace=1

scripts/setup.sh build sanitize
mkdir -p $work
cmake --preset asan-ubsan >$build/configure.log || { cat $build/configure.log; exit 1; }
programs=()
for t in "${targets[@]}"; do
  case " ${all[*]} " in *" $t "*) ;; *) echo "fuzz: error: unknown target '$t': ${all[*]}" >&2; exit 2 ;; esac
  programs+=("fuzz_$t")
  if [ "$mode" = planted ]; then programs+=("fuzz_${t}_planted"); fi
done
cmake --build --preset asan-ubsan -j "$jobs" --target "${programs[@]}"

# one PROGRAM TARGET LIMIT: a run of libFuzzer; its log in build-asan/fuzz/PROGRAM.log.
one() {
  local program=$1 target=$2 limit=$3 rc=0 dict=()
  local corpus=$work/corpus/$target
  if [ "$mode" != run ]; then corpus=$work/corpus-$mode/$target && rm -rf "$corpus"; fi  # from the kept inputs alone
  mkdir -p "$corpus" $work/found
  if [ -e "tests/fuzz/$target.dict" ]; then dict=("-dict=tests/fuzz/$target.dict"); fi
  "$build/$program" "$corpus" "tests/fuzz/corpus/$target" "${dict[@]}" $limit -timeout=25 \
    -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=20000 -reload=0 -mutate_depth=2 -print_final_stats=1 \
    -artifact_prefix="$work/found/$program-" >"$work/$program.log" 2>&1 || rc=$?
  return $rc
}
export -f one
export build work mode

# each PROGRAMS' SUFFIX LIMIT: all targets, some at a time; exit statuses in build-asan/fuzz/PROGRAM.rc.
each() {
  local suffix=$1 limit=$2
  printf '%s\n' "${targets[@]}" |
    xargs -P "$jobs" -I{} bash -c "rc=0; one fuzz_{}$suffix {} '$limit' || rc=\$?; echo \$rc >$work/fuzz_{}$suffix.rc"
}

figures() { sed -n 's/^stat::number_of_executed_units: *//p' "$1"; }

bad=0
case $mode in
  quick | run)
    if [ "$mode" = quick ]; then each "" "-runs=10000 -seed=1"; else each "" "-max_total_time=${seconds:-600}"; fi
    for t in "${targets[@]}"; do
      if [ "$(cat $work/fuzz_$t.rc)" = 0 ]; then
        echo "fuzz: $t: nothing found, $(figures $work/fuzz_$t.log) inputs"
      else
        bad=1
        echo "fuzz: error: $t: $(grep -m1 -E 'SUMMARY|ERROR|terminate' $work/fuzz_$t.log || tail -n 1 $work/fuzz_$t.log)" >&2
        sed -n -e '/what()/p' -e '/Test unit written/p' "$work/fuzz_$t.log" >&2
      fi
    done
    ;;
  planted)
    each _planted "-max_total_time=${seconds:-300}"
    for t in "${targets[@]}"; do
      input=$(sed -n 's/.*Test unit written to //p' "$work/fuzz_${t}_planted.log" | tail -n 1)
      if [ "$(cat "$work/fuzz_${t}_planted.rc")" = 0 ] || [ -z "$input" ]; then
        bad=1
        echo "fuzz: error: $t: the planted bug was not found" >&2
      elif ! "$build/fuzz_$t" "$input" >/dev/null 2>&1; then
        bad=1
        echo "fuzz: error: $t: what was found is no planted bug: $input" >&2
      else
        echo "fuzz: $t: found: $(grep -m1 -oE 'runtime error: .*|AddressSanitizer: [a-z-]+' "$work/fuzz_${t}_planted.log")"
      fi
    done
    ;;
  keep)
    for t in "${targets[@]}"; do
      mkdir -p "$work/corpus/$t" "tests/fuzz/corpus/$t"
      "$build/fuzz_$t" -set_cover_merge=1 -use_counters=0 -max_len=2048 "tests/fuzz/corpus/$t" "$work/corpus/$t" >"$work/keep.log" 2>&1
      echo "fuzz: $t: $(find "tests/fuzz/corpus/$t" -type f | wc -l) inputs kept"
    done
    ;;
  *)
    echo "fuzz: error: unknown mode '$mode': quick, run, planted or keep" >&2
    exit 2
    ;;
esac
exit $bad
