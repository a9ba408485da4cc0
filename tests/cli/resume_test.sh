#!/usr/bin/env bash
# Twenty SIGKILLs, ten of them inside a save (fault points write, fsync, rename), from two threads to one: the final weights
# and moments equal those of an undisturbed run to the bit, and no half-written checkpoint is ever picked up.
set -euo pipefail
hadal=${HADAL:?path of the program}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$hadal" data generate --seed 3 --bytes 120000 --out text.jsonl >/dev/null
"$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >/dev/null 2>&1
"$hadal" data prepare --tokenizer tok --input text.jsonl --out shards >/dev/null 2>&1
cat >recipe.toml <<'T'
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["shards"]
sequence_length = 48
[train]
tokens = 17280
rows = 6
micro_rows = 2
threads = 2
[checkpoint]
every = 3
keep = 2
T
train() { "$hadal" pretrain recipe.toml --run "$1" "${@:2}" >>"$1.log" 2>&1; }

train calm
last=$(ls -d calm/checkpoints/step-* | tail -n 1)

mkdir -p stormy/checkpoints
newest() { find stormy/checkpoints -maxdepth 1 -name 'step-????????' | sort | tail -n 1; }
RANDOM=20261124
kills=0 inside=0
points=(write fsync rename)
for i in $(seq 1 400); do
  before=$(newest)
  threads=$((1 + RANDOM % 2))
  # A fault point in the first or second save of this leg (a save passes about 20 of them), or a kill at a random moment.
  if [ $((i % 2)) = 0 ]; then
    export HADAL_FAULT="${points[RANDOM % 3]}:$((1 + RANDOM % 14))"
  else
    unset HADAL_FAULT
  fi
  "$hadal" pretrain recipe.toml --run stormy --set "train.threads=$threads" >>stormy.log 2>&1 &
  pid=$!
  if [ -z "${HADAL_FAULT:-}" ] && [ "$kills" -lt 20 ]; then
    sleep "0.$((RANDOM % 9))$((RANDOM % 9))"
    { kill -9 "$pid" || echo "it had ended"; } >/dev/null 2>&1
  fi
  rc=0
  wait "$pid" 2>/dev/null || rc=$?
  [ "$rc" = 0 ] && break
  [ "$rc" = 137 ] || { echo "a run ended with $rc:"; tail -n 3 stormy.log; exit 1; }
  kills=$((kills + 1))
  [ -n "${HADAL_FAULT:-}" ] && inside=$((inside + 1))
  # Whatever has a checkpoint's name is whole: its checksums are checked when it is read.
  [ -z "$before" ] || [ -n "$(newest)" ] || { echo "a checkpoint was lost"; exit 1; }
  [ "$kills" -ge 24 ] && unset HADAL_FAULT
  if [ "$kills" -ge 24 ]; then
    "$hadal" pretrain recipe.toml --run stormy --set train.threads=1 >>stormy.log 2>&1
    break
  fi
done
unset HADAL_FAULT
echo "$kills kills, $inside of them at fault points inside a save"
resumed=$(awk '/going on from/ { n++ } END { print n + 0 }' stormy.log)
echo "$resumed resumptions from a checkpoint"
[ "$(ls -d stormy/checkpoints/step-* | tail -n 1 | xargs basename)" = "$(basename "$last")" ] || { echo "the runs did not end at the same step"; exit 1; }
for file in model.safetensors trainer/moments.safetensors; do
  cmp "$last/$file" "stormy/checkpoints/$(basename "$last")/$file" || { echo "$file differs"; exit 1; }
done
[ "$kills" -ge 20 ] || { echo "only $kills kills landed: 20 are wanted"; exit 1; }
[ "$inside" -ge 5 ] || { echo "only $inside kills landed inside a save: 5 are wanted"; exit 1; }
[ "$resumed" -ge 1 ] || { echo "no run went on from a checkpoint"; exit 1; }
lines=$(wc -l <stormy/metrics.jsonl) want=$(wc -l <calm/metrics.jsonl)
[ "$lines" = "$want" ] || { echo "metrics.jsonl has $lines lines, not $want"; exit 1; }
echo "the same bits as without"
