#!/usr/bin/env bash
# Every mistake a user can make gets one line that names the culprit, a non-zero exit, and nothing is lost.
set -euo pipefail
hadal=${HADAL:?path of the program}
data=${HADAL_TEST_DATA:?folder of test data}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bad=0

# wrong WHAT PATTERN COMMAND...: the command must fail with one line that matches every word of PATTERN (split at |).
wrong() {
  local what=$1 patterns=$2 rc=0 lines
  shift 2
  "$@" >out.txt 2>err.txt || rc=$?
  sed -e '/^preparing/d' -e '/^training/d' -e '/parameters and/d' err.txt >only.txt
  lines=$(wc -l <only.txt)
  if [ "$rc" = 0 ] || [ "$rc" -ge 128 ] || [ "$lines" != 1 ] || ! grep -q '^hadal: error: ' only.txt; then
    echo "NO: $what: exit $rc, $lines lines:"; cat only.txt; bad=1; return
  fi
  while read -r word; do
    grep -qF -- "$word" only.txt || { echo "NO: $what: '$word' is not in: $(cat only.txt)"; bad=1; return; }
  done < <(tr '|' '\n' <<<"$patterns")
  echo "ok: $what: $(cut -c1-150 only.txt)"
}

"$hadal" data generate --seed 3 --bytes 60000 --out text.jsonl >/dev/null
"$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >/dev/null 2>&1
"$hadal" data prepare --tokenizer tok --input text.jsonl --out shards >/dev/null 2>&1
# The command line itself.
wrong "no verb" "a verb is needed|pretrain" "$hadal"
wrong "unknown verb" "unknown verb 'trian'|pretrain" "$hadal" trian
wrong "verb within a verb" "hadal data: a verb is needed|prepare" "$hadal" data
wrong "unknown flag" "hadal inspect|--bogus" "$hadal" inspect tiny --bogus
wrong "missing argument" "hadal generate|model is required" "$hadal" generate
wrong "missing value" "--seed" "$hadal" generate x --seed
wrong "flag twice" "--max-tokens" "$hadal" generate x --max-tokens 1 --max-tokens 2
wrong "no number" "--seed = x" "$hadal" generate x --seed x
wrong "number too large for its type" "--vocab-size" "$hadal" tokenizer train --out t text.jsonl --vocab-size 99999999999999999999
wrong "zero bytes" "--bytes: 0 must be a number above 0" "$hadal" data generate --bytes 0 --out y
wrong "NaN" "--shard-gb: nan must be a number above 0" "$hadal" convert a b --shard-gb nan
wrong "infinity" "--shard-gb: inf" "$hadal" convert a b --shard-gb inf
wrong "not one of" "--dtype|fp8|f32,bf16" "$hadal" convert a b --dtype fp8
wrong "line break in a name" 'no\nfile' "$hadal" tokenizer encode --model tok $'no\nfile'
wrong "folder for a file" "cannot write shards: it is a folder" "$hadal" data generate --bytes 9 --out shards
wrong "no folder for the output" "cannot write none/y: No such file" "$hadal" data generate --bytes 9 --out none/y
wrong "empty name" "without a name" "$hadal" data generate --bytes 9 --out ''
wrong "full disk" "cannot write /dev/full: No space left" "$hadal" data generate --bytes 9 --out /dev/full
wrong "standard output is full" "standard output: No space left" bash -c "'$hadal' data info shards >/dev/full"
wrong "unwritable folder" "/proc/none" "$hadal" data prepare --tokenizer tok --input text.jsonl --out /proc/none
echo 3 99999 >ids.txt
wrong "id beyond the vocabulary" "99999 is not an id|400" "$hadal" tokenizer decode --model tok ids.txt
wrong "negative id" "line 1: -3 is not an id" "$hadal" tokenizer decode --json --model tok - <<<'[1, -3]'
wrong "vocabulary smaller than the bytes" "vocab_size 10" "$hadal" tokenizer train --out t --vocab-size 10 text.jsonl
wrong "report without a run" "nowhere: there is no such run folder" "$hadal" report nowhere
wrong "report of another folder" "tok: no checkpoint" "$hadal" report tok
wrong "negative size" "--text-bytes: -3" "$hadal" report tok --text-bytes -3

recipe() { printf '[model]\npreset = "tiny"\n[data]\ntokenizer = "tok"\ntrain = ["shards"]\nsequence_length = 32\n[train]\ntokens = 640\nrows = 4\n%s\n' "$1" >"$2"; }
recipe "" good.toml
recipe 'row = 4' key.toml
recipe '[lr]
peak = "fast"' type.toml

wrong "unknown recipe key" "key.toml|train.row|train.rows" "$hadal" pretrain key.toml --run r1
wrong "wrong type" "type.toml|lr.peak|number" "$hadal" pretrain type.toml --run r2
wrong "unknown --set key" "lr.peek|lr.peak" "$hadal" pretrain good.toml --run r3 --set lr.peek=1
wrong "missing recipe" "none.toml" "$hadal" pretrain none.toml --run r4
wrong "missing input file" "nothing.txt" "$hadal" data prepare --tokenizer tok --input nothing.txt --out s1
: >empty.txt
wrong "empty corpus" "empty corpus" "$hadal" data prepare --tokenizer tok --input empty.txt --out s2
wrong "unknown kind of file" "text.pdf|.jsonl" bash -c "touch text.pdf; '$hadal' data prepare --tokenizer tok --input text.pdf --out s3"
printf '{"text":"good"}\n{"text":\n' >broken.jsonl
wrong "bad JSON line" "broken.jsonl:2" "$hadal" data prepare --tokenizer tok --input broken.jsonl --out s4
wrong "missing tokenizer" "no-tok" "$hadal" data prepare --tokenizer no-tok --input text.jsonl --out s5

# Invalid UTF-8 is kept as bytes.
printf 'caf\xe9 \xff\xfe ok' >latin.txt
"$hadal" data prepare --tokenizer tok --input latin.txt --out s6 2>/dev/null | grep -q "10 bytes of text" && echo "ok: invalid UTF-8 is kept" || { echo "NO: invalid UTF-8"; bad=1; }

mkdir cut && head -c 5000 shards/tokens-00000.bin >cut/tokens-00000.bin
wrong "truncated shard" "cut/tokens-00000.bin|truncated" "$hadal" pretrain good.toml --run r5 --set 'data.train=["cut"]'
mkdir flip && { head -c 9000 shards/tokens-00000.bin; printf '\x5a\x5a'; tail -c +9003 shards/tokens-00000.bin; } >flip/tokens-00000.bin
wrong "damaged shard" "flip/tokens-00000.bin|checksum" "$hadal" pretrain good.toml --run r6 --set 'data.train=["flip"]'

"$hadal" pretrain good.toml --run run >/dev/null 2>&1
step=$(ls -d run/checkpoints/step-* | tail -n 1)
sum=$(sha256sum "$step/model.safetensors")
wrong "changed recipe on resume" "optimizer.clip: 1.0 -> 2.0" "$hadal" pretrain good.toml --run run --set optimizer.clip=2.0
[ "$sum" = "$(sha256sum "$step/model.safetensors")" ] || { echo "NO: the checkpoint changed"; bad=1; }
cp -r run hurt
printf '\x77' | dd of="hurt/checkpoints/$(basename "$step")/model.safetensors" bs=1 seek=30000 conv=notrunc status=none
wrong "corrupt checkpoint" "model.safetensors|damaged" "$hadal" pretrain good.toml --run hurt --set train.threads=1

v3=$data/models/v3
mkdir gate && cp "$v3/model.safetensors" gate/ && sed 's/"noaux_tc"/"magic_tc"/' "$v3/config.json" >gate/config.json
wrong "unsupported gate" "gate/config.json|topk_method|magic_tc" "$hadal" inspect gate
mkdir field && cp "$v3/model.safetensors" field/ && sed 's/"hidden_act"/"sparse_topk": 5, "hidden_act"/' "$v3/config.json" >field/config.json
wrong "unknown config field" "sparse_topk" "$hadal" inspect field
mkdir shape && cp "$v3/model.safetensors" shape/ && sed 's/"q_lora_rank": 40/"q_lora_rank": 48/' "$v3/config.json" >shape/config.json
wrong "mis-shaped tensor" "q_a_proj.weight|(40, 64)|(48, 64)" "$hadal" generate shape --prompt x
mkdir layers && cp "$v3/model.safetensors" layers/ && sed 's/"num_hidden_layers": 3/"num_hidden_layers": 4/' "$v3/config.json" >layers/config.json
wrong "missing tensor" "model.layers.3|missing" "$hadal" generate layers --prompt x
mkdir short && cp "$v3/config.json" short/ && head -c 300000 "$v3/model.safetensors" >short/model.safetensors
wrong "truncated weights" "short/model.safetensors" "$hadal" inspect short
wrong "unknown preset" "v9|v2-lite" "$hadal" inspect v9
wrong "wrong reference file" "format" "$hadal" verify "$v3" --reference "$v3/model.safetensors"
wrong "bad temperature" "temperature" "$hadal" generate "$step" --prompt x --temperature -1
wrong "prompt longer than the context" "--context" "$hadal" generate "$step" --prompt "$(printf 'word %.0s' $(seq 1 200))" --context 64
exit $bad
