#!/usr/bin/env bash
# A study from nothing: texts of five kinds, tokenizer, shards, `hadal study`. Run it again after an interruption and it goes
# on where it stopped.
#   scripts/study.sh balance|mtp [HADAL [FOLDER]] [OPTIONS...]    OPTIONS go to `hadal study`
set -euo pipefail
study=${1:?usage: scripts/study.sh balance|mtp [HADAL [FOLDER]] [OPTIONS...]}
hadal=${2:-build/hadal}
folder=${3:-runs/study}
if [ $# -gt 3 ]; then shift 3; else set --; fi
case $study in balance | mtp) ;; *) echo "error: there are the studies balance and mtp, not '$study'" >&2; exit 2 ;; esac
texts=$folder/texts
mkdir -p "$texts"
say() { printf '\n== %s\n' "$*"; }

say "1. texts"
scripts/fetch_corpora.sh "$folder/corpora" "$hadal"

# every NAME N: each N-th document is held out, the others are trained on.
every() {
  awk -v n="$2" 'NR % n != 0' "$folder/corpora/$1.jsonl" >"$texts/$1-train.jsonl"
  awk -v n="$2" 'NR % n == 0' "$folder/corpora/$1.jsonl" >"$texts/$1-heldout.jsonl"
}
# generated KIND SEED BYTES: what is held out comes from another seed and is about BYTES long.
generated() {
  "$hadal" data generate --kind "$1" --seed "$2" --bytes 1200000 --out "$texts/$1-train.jsonl" >/dev/null
  "$hadal" data generate --kind "$1" --seed $(($2 + 1)) --bytes "$3" --out "$texts/$1-heldout.jsonl" >/dev/null
}
# Held-out texts in about the proportions of training: MaxVio over all of them depends on the mixture.
if [ ! -f "$texts/whole" ]; then
  every prose 12
  every speeches 35
  generated code 11 56000
  generated json 13 48000
  generated numbers 15 27000
  touch "$texts/whole"
fi
kinds=(prose speeches code json numbers)
train='' heldout=()
say "2. tokenizer (byte-level BPE, 2,048 tokens) and shards"
[ -f "$folder/tokenizer/tokenizer.json" ] || "$hadal" tokenizer train --vocab-size 2048 --out "$folder/tokenizer" "$texts"/*-train.jsonl
for kind in "${kinds[@]}"; do
  for part in train heldout; do
    shards=$folder/shards/$kind-$part
    [ -d "$shards" ] || "$hadal" data prepare --tokenizer "$folder/tokenizer" --input "$texts/$kind-$part.jsonl" --out "$shards"
  done
  train+="${train:+, }\"$folder/shards/$kind-train\""
  heldout+=(--heldout "$kind=$folder/shards/$kind-heldout")
done
say "3. the study (Ctrl-C saves, the same command goes on)"
"$hadal" study "$study" "recipes/study-$study.toml" --out "$folder/$study" --set "data.tokenizer=$folder/tokenizer" --set "data.train=[$train]" \
  "${heldout[@]}" --source "$(sed 's/, held out:.*//' "$folder/corpora/source"); code, json, numbers: generated" "$@"
