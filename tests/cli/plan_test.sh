#!/usr/bin/env bash
# hadal plan train, and what hadal pretrain refuses: the plan's parts add up, a run that cannot fit ends in one line before
# it has begun, and what that line proposes does fit.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
die() {
  echo "NO: $*"
  exit 1
}

small_text
cat >recipe.toml <<'T'
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["shards"]
heldout = "shards"
sequence_length = 512
[train]
tokens = 8192
rows = 16
threads = 2
[validation]
every = 0
T

# needs SETTING...: bytes that the plan says.
needs() {
  local args=()
  for s in "$@"; do args+=(--set "$s"); done
  "$hadal" plan train recipe.toml --no-time --json "${args[@]}" | python3 -c 'import json, sys; print(json.load(sys.stdin)["memory"]["bytes"])'
}

"$hadal" plan train recipe.toml --json >plan.json
python3 - <<'P'
import json
d = json.load(open("plan.json"))
m, t = d["memory"], d["time"]
assert sum(m["parts"].values()) == m["bytes"] > m["tensor_bytes"] > 0, m
assert list(m["parts"]) == ["weights", "master weights", "moments", "moving average", "gradients", "activations",
                            "scratch of kernels", "held for reuse", "tokenizer and data", "program"], m
assert m["fits"] and m["limit"] > m["bytes"], m
assert t["calibrated"] and t["tokens_per_step"] == 8192 and t["step_seconds"] > 0, t
assert t["steps"] == 1 and t["validations"] == 2 and t["validation_seconds"] > 0, t  # before the step and after it
assert t["run_seconds"] > t["step_seconds"] + t["validation_seconds"], t
assert abs(sum(p["seconds"] for p in t["parts"].values()) / t["step_seconds"] - 1) < 1e-6, t
P
"$hadal" plan train recipe.toml --no-time --memory-limit 1MiB | grep -q "DOES NOT FIT into *1048576 .*--memory-limit" || die "no word that it does not fit"
echo "ok: plan"

none=$(needs) blocks=$(needs train.recompute=blocks) half=$(needs train.micro_rows=8)
[ "$blocks" -lt "$none" ] && [ "$half" -lt "$none" ] || die "recompute and micro-batches save nothing: $none $blocks $half"
limit=$(((none + (blocks > half ? blocks : half)) / 2))
if "$hadal" pretrain recipe.toml --run run --memory-limit "$limit" >out.txt 2>err.txt; then die "$limit bytes were enough for $none"; fi
[ "$(wc -l <err.txt)" = 1 ] || die "more than one line: $(cat err.txt)"
for word in "hadal: error: training needs" "--memory-limit is" "($limit bytes)" "--set 'train.recompute=" "--set 'train.micro_rows=8'"; do
  grep -qF -- "$word" err.txt || die "'$word' is not in: $(cat err.txt)"
done
[ ! -e run ] || die "a run folder was made"
cat err.txt

# What it proposes is taken at its word.
recompute=$(grep -o "train.recompute=\"[a-z]*\"" err.txt | head -n 1)
for setting in "$recompute" train.micro_rows=8; do
  "$hadal" pretrain recipe.toml --run "run-$setting" --memory-limit "$limit" --set "$setting" >out.txt 2>err.txt || die "$setting: $(cat err.txt)"
  echo "ok: $setting fits"
done

if "$hadal" pretrain recipe.toml --run run --memory-limit 1MiB >out.txt 2>err.txt; then die "1 MiB was enough"; fi
grep -q "take a smaller model" err.txt && [ "$(wc -l <err.txt)" = 1 ] || die "1 MiB: $(cat err.txt)"
echo "ok: too large for any setting"
