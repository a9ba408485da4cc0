#!/usr/bin/env bash
# tools/same_bits.sh OLD NEW: do two programs compute the same bits? Both train 20 steps of demo (f32, bf16, fp8; with recomputation, micro-batches,
# a ramp of rows and an average of weights) and decode 200 tokens in both cache forms from what they trained, on every ISA that the machine has; weights,
# averages, losses, gradient norms, tokens and log-probs are compared, between the programs and, of each program, between the ISAs.
# Prints a line for each comparison; fails if one differs. STEPS, PRESET and ISAS may be set.
set -euo pipefail
if [ $# -ne 2 ]; then sed -n '2,5s/^# //p' "$0"; exit 1; fi
old=$(realpath "$1")
new=$(realpath "$2")
steps=${STEPS:-20}
preset=${PRESET:-demo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

supported=(avx2)
if grep -qw avx512bw /proc/cpuinfo; then supported+=(avx512); fi
if grep -qw avx512_bf16 /proc/cpuinfo; then supported+=(avx512bf16); fi
read -ra isas <<<"${ISAS:-${supported[*]}}"

"$new" data generate --seed 3 --bytes 1000000 --out text.jsonl >/dev/null
"$new" tokenizer train --vocab-size 1000 --out tok text.jsonl >/dev/null 2>&1
"$new" data prepare --tokenizer tok --input text.jsonl --out shards >/dev/null 2>&1
recipe() { # DTYPE RECOMPUTE
  cat <<TOML
[model]
preset = "$preset"
dtype = "$1"
[data]
tokenizer = "tok"
train = ["shards"]
heldout = "shards"
sequence_length = 192
[train]
tokens = $((192 * 6 * steps))
rows = 8
rows_start = 4
ramp_share = 0.5
micro_rows = 2
recompute = "$2"
[optimizer]
ema = 0.9
clip = 0.5
[balance]
alpha = 1e-4
[validation]
rows = 4
TOML
}

# What a run computed: without times, rates and memory.
losses() {
  python3 - "$1" <<'P'
import json, sys
timed = ("seconds", "second", "share_of_peak", "gib", "time", "build", "isa")
for line in open(sys.argv[1]):
    print(json.dumps({k: v for k, v in json.loads(line).items() if not any(t in k for t in timed)}))
P
}

run() { # PROGRAM NAME DTYPE ISA
  local program=$1 dir=$2.$3.$4 recompute=selective
  if [ "$3" = f32 ]; then recompute=blocks; fi
  recipe "$3" "$recompute" >"$dir.toml"
  HADAL_ISA=$4 "$program" pretrain "$dir.toml" --run "$dir" >"$dir.log" 2>&1 || { tail -n 3 "$dir.log"; exit 1; }
  local checkpoint
  checkpoint=$(find "$dir/checkpoints" -maxdepth 1 -name 'step-*' | sort | tail -n 1)
  losses "$dir/metrics.jsonl" >"$dir.losses"
  cat "$checkpoint"/*.safetensors | sha256sum >"$dir.weights"
  cat "$checkpoint"/trainer/*.safetensors | sha256sum >"$dir.state"
  if [ "$3" = fp8 ]; then return; fi
  for form in latent expanded; do
    HADAL_ISA=$4 "$program" generate "$checkpoint" --prompt "the" --max-tokens 200 --temperature 0 --seed 1 --dtype "$3" --form "$form" --json 2>/dev/null |
      python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["ids"], d["logprobs"])' >"$dir.$form"
  done
}

bad=0
compare() { # WHAT A B
  if cmp -s "$2" "$3"; then
    echo "same      $1"
  else
    echo "DIFFERENT $1"
    head -n 4 < <(diff "$2" "$3") | cut -c 1-300
    bad=1
  fi
}

for dtype in f32 bf16 fp8; do
  for isa in "${isas[@]}"; do
    run "$old" old $dtype "$isa"
    run "$new" new $dtype "$isa"
    for what in losses weights state latent expanded; do
      if [ -e "new.$dtype.$isa.$what" ]; then compare "$dtype $isa $what: old and new" "old.$dtype.$isa.$what" "new.$dtype.$isa.$what"; fi
    done
    for what in losses weights state latent expanded; do
      if [ "$isa" != "${isas[0]}" ] && [ -e "new.$dtype.$isa.$what" ]; then
        compare "$dtype $what: new on $isa and on ${isas[0]}" "new.$dtype.$isa.$what" "new.$dtype.${isas[0]}.$what"
      fi
    done
  done
done
exit $bad
