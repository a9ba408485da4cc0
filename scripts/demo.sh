#!/usr/bin/env bash
# The whole story on this machine: texts, tokenizer, shards, pre-training, then a table and a sample. Run it again after an
# interruption and it goes on where it stopped.
#   scripts/demo.sh [HADAL [FOLDER]]     HADAL_DEMO_TOKENS: train on fewer or more tokens
set -euo pipefail
hadal=${1:-build/hadal}
demo=${2:-runs/demo}
tokens=${HADAL_DEMO_TOKENS:-1800000}
mkdir -p "$demo"
say() { printf '\n== %s\n' "$*"; }

say "1. texts"
scripts/fetch_corpora.sh "$demo/corpora" "$hadal"
say "2. tokenizer (byte-level BPE, 2,048 tokens)"
[ -f "$demo/tokenizer/tokenizer.json" ] || "$hadal" tokenizer train --vocab-size 2048 --out "$demo/tokenizer" "$demo/corpora/prose.jsonl" "$demo/corpora/speeches.jsonl"
say "3. token shards"
for part in prose.jsonl speeches.jsonl heldout.txt; do
  folder=$demo/shards-${part%%.*}
  [ -d "$folder" ] || "$hadal" data prepare --tokenizer "$demo/tokenizer" --input "$demo/corpora/$part" --out "$folder"
done
say "4. pre-training (preset demo, $tokens tokens; Ctrl-C saves, the same command goes on)"
"$hadal" pretrain recipes/demo.toml --run "$demo/run" --set "data.tokenizer=$demo/tokenizer" --set "data.train=[\"$demo/shards-prose\", \"$demo/shards-speeches\"]" \
  --set "data.heldout=$demo/shards-heldout" --set "train.tokens=$tokens"
say "5. what came out"
xz_bytes=$(xz -9 --stdout "$demo/corpora/heldout.txt" | wc -c)
"$hadal" report "$demo/run" --json-out "$demo/demo.json" --compressed-bytes "$xz_bytes" --text-bytes "$(wc -c <"$demo/corpora/heldout.txt")" --source "$(cat "$demo/corpora/source")"
say "6. a sample (temperature 0.8)"
model=$(ls -d "$demo"/run/checkpoints/step-* | tail -n 1)
"$hadal" generate "$model" --prompt "The captain looked" --max-tokens 120 --temperature 0.8 --top-p 0.95 --seed 7
printf '\nreport: %s\nfigures: %s\nchat:   %s chat %s\n' "$demo/run/report.html" "$demo/demo.json" "$hadal" "$model"
