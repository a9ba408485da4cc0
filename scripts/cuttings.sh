#!/usr/bin/env bash
# One text cut into documents in three ways, as one file, as documents of some 3,200 bytes, as pieces of 2,000 bytes: what a
# model learns from it must not depend on that. Trains each with three seeds and prints a table; status 1 if the three ways
# end more than 5 % apart. Run it again after an interruption and it goes on where it stopped.
#   scripts/cuttings.sh [HADAL [FOLDER]]     HADAL_CUTTINGS_SEEDS: seeds (default: 1 2 3)
set -euo pipefail
hadal=${1:-build/hadal}
folder=${2:-runs/cuttings}
seeds=${HADAL_CUTTINGS_SEEDS:-1 2 3}
mkdir -p "$folder"
say() { printf '\n== %s\n' "$*" >&2; }

say "1. texts"
scripts/fetch_corpora.sh "$folder/corpora" "$hadal" >&2
for kind in prose code json numbers; do
  [ -f "$folder/$kind.jsonl" ] || "$hadal" data generate --kind "$kind" --seed 11 --bytes 1650000 --out "$folder/$kind.jsonl" >&2
done
# Every twentieth document is held out, whole, before anything is cut.
[ -f "$folder/whole.txt" ] || python3 - "$folder" <<'P'
import json, sys
folder = sys.argv[1]
train, heldout = [], []
for name in ("corpora/prose", "corpora/speeches", "prose", "code", "json", "numbers"):
    with open(f"{folder}/{name}.jsonl", encoding="utf-8") as f:
        for i, line in enumerate(f):
            (heldout if i % 20 == 19 else train).append(json.loads(line)["text"].rstrip("\n") + "\n")

def cut(text, size):
    """Pieces of `size` bytes, the last one shorter; no character is cut."""
    data, at = text.encode(), 0
    while at < len(data):
        end = min(at + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[at:end].decode()
        at = end

def at_line_ends(text, size):
    piece = ""
    for line in text.splitlines(keepends=True):
        for part in cut(line, size):
            if piece and len((piece + part).encode()) > size:
                yield piece
                piece = ""
            piece += part
    if piece:
        yield piece

def write(name, documents):
    documents = list(documents)
    with open(f"{folder}/{name}.jsonl", "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"text": d}) + "\n" for d in documents)
    sizes = [len(d.encode()) for d in documents]
    print(f"{name}: {len(sizes)} documents, {sum(sizes)} bytes", file=sys.stderr)

text = "".join(train)
write("heldout", heldout)
write("documents", at_line_ends(text, 3300))
write("pieces", cut(text, 2000))
with open(f"{folder}/whole.txt", "w", encoding="utf-8") as f:
    f.write(text)
P
say "2. tokenizer (byte-level BPE, 2,048 tokens) and shards"
[ -f "$folder/tokenizer/tokenizer.json" ] || "$hadal" tokenizer train --vocab-size 2048 --out "$folder/tokenizer" "$folder/whole.txt" >&2
for input in whole.txt documents.jsonl pieces.jsonl heldout.jsonl; do
  shards=$folder/shards-${input%.*}
  [ -d "$shards" ] || { rm -rf "$shards.new" && "$hadal" data prepare --tokenizer "$folder/tokenizer" --input "$folder/$input" --out "$shards.new" >&2 && mv "$shards.new" "$shards"; }
done
say "3. runs: preset study, 391 steps of 8 x 256 tokens, peak learning rate 1e-3"
for seed in $seeds; do
  for cutting in whole documents pieces; do
    run=$folder/run-$cutting-$seed
    [ -f "$run/outcome" ] || "$hadal" pretrain recipes/study-balance.toml --run "$run" --set "data.tokenizer=$folder/tokenizer" \
      --set "data.train=[\"$folder/shards-$cutting\"]" --set 'data.weights=[]' --set "data.heldout=$folder/shards-heldout" --set train.tokens=800000 \
      --set balance.alpha=0 --set validation.full=true --set "model.seed=$seed" --set "data.seed=$seed" >"$run.log"
    touch "$run/outcome"
  done
done
say "4. held-out bits per byte after training"
python3 - "$folder" $seeds <<'P'
import json, sys
folder, seeds = sys.argv[1], sys.argv[2:]
print("| cut | " + " | ".join(f"seed {s}" for s in seeds) + " | mean | training loss, last 50 steps |")
print("|---|" + "---|" * (len(seeds) + 2))
means = {}
for cutting in ("whole", "documents", "pieces"):
    bits, losses = [], []
    for seed in seeds:
        with open(f"{folder}/run-{cutting}-{seed}/metrics.jsonl") as f:
            steps = [json.loads(line) for line in f]
        bits += [v["bits_per_byte"] for v in steps[-1]["validation"].values() if v["whole"]]
        losses += [s["lm_loss"] for s in steps[-50:]]
    means[cutting] = sum(bits) / len(bits)
    print(f"| {cutting} | " + " | ".join(f"{b:.4f}" for b in bits) + f" | {means[cutting]:.4f} | {sum(losses) / len(losses):.3f} |")
apart = max(means.values()) / min(means.values()) - 1
print(f"\nThe means end {100 * apart:.1f} % apart.")
if apart > 0.05:
    sys.exit("error: the three ways of cutting end more than 5 % apart")
P
