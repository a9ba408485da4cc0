#!/usr/bin/env bash
# Format, house rules, clang-tidy: tools/lint.sh [all].  clang-tidy looks at the files changed since the merge base
# (HADAL_BASE, else the upstream branch, else 20 commits ago), newest first, for LINT_BUDGET seconds (0: no limit).
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}
budget=${LINT_BUDGET:-100}
build=${HADAL_BUILD:-build}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rc=0
mapfile -t sources < <(git ls-files '*.cpp' '*.h' '*.cu')
if clang-format-16 --dry-run -Werror "${sources[@]}" 2>"$work/format.log"; then
  echo "format: ${#sources[@]} files"
else
  grep -oE '^[^:]+:[0-9]+' "$work/format.log" | awk -F : '!seen[$1]++ { print $0 ": not in the house format (make format mends it)" }'
  rc=1
fi
python3 tools/check_house.py || rc=1
python3 tools/check_house_test.py || rc=1

base() {
  local upstream
  if [ -n "${HADAL_BASE:-}" ]; then
    git merge-base HEAD "$HADAL_BASE"
    return
  fi
  upstream=$(git merge-base HEAD '@{upstream}' 2>/dev/null) || upstream=$(git rev-parse HEAD)
  if [ "$upstream" != "$(git rev-parse HEAD)" ]; then
    echo "$upstream"
  else
    git rev-list --max-count=21 HEAD | tail -n 1
  fi
}

# The .cpp files to look at, newest change first, that the build compiles.
to_tidy() {
  if [ "${1:-}" = all ]; then
    git ls-files '*.cpp'
  else
    { git diff --name-only HEAD; git log --format= --name-only "$(base)..HEAD"; } | grep '\.cpp$' | awk '!seen[$0]++'
  fi | while read -r file; do
    if grep -qF "/$file\"" "$build/compile_commands.json"; then echo "$file"; fi
  done
}

# clang does not know gcc's flags; a copy of a kernel for one ISA is enough.
python3 tools/tidy_commands.py "$build/compile_commands.json" >"$work/compile_commands.json"
to_tidy "${1:-}" >"$work/files" || echo "tidy: no C++ file changed"

tidy_one() {
  local file=$1
  if [ "$LINT_END" != 0 ] && [ "$(date +%s)" -ge "$LINT_END" ]; then return 0; fi
  echo "$file" >>"$LINT_WORK/done"
  clang-tidy-16 --quiet -p "$LINT_WORK" "$file" >"$LINT_WORK/out.$$" 2>"$LINT_WORK/err.$$" || {
    cat "$LINT_WORK/out.$$" "$LINT_WORK/err.$$"
    return 1
  }
}
export -f tidy_one
export LINT_WORK=$work LINT_END=0
if [ "$budget" != 0 ]; then LINT_END=$(($(date +%s) + budget)); fi
touch "$work/done"
xargs -r -P "$jobs" -n 1 bash -c 'tidy_one "$1"' tidy <"$work/files" || rc=1
total=$(wc -l <"$work/files")
looked=$(wc -l <"$work/done")
echo "tidy: $looked of $total changed files$([ "$looked" = "$total" ] || echo ", the rest left out: $budget seconds are over")"
exit $rc
