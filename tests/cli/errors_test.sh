#!/usr/bin/env bash
# Every mistake a user can make gets one line that names the culprit, a non-zero exit, and nothing is lost.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
data=${HADAL_TEST_DATA:?folder of test data}
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
  echo "ok: ${what//$'\n'/ }: $(cut -c1-150 only.txt)"
}

small_text
"$hadal" tokenizer train --vocab-size 300 --out other text.jsonl >/dev/null 2>&1
"$hadal" data prepare --tokenizer other --input text.jsonl --out others >/dev/null 2>&1
# The command line itself.
wrong "no verb" "a verb is needed|pretrain" "$hadal"
wrong "unknown verb" "unknown verb 'trian'|pretrain" "$hadal" trian
wrong "a verb of other programs" "unknown verb 'train'|did you mean 'pretrain'?" "$hadal" train
wrong "the beginning of a verb" "unknown verb 'prep'|did you mean 'prepare'?" "$hadal" data prep
wrong "an option of other programs" "unknown option '--max-new-tokens'|did you mean '--max-tokens'?" "$hadal" generate x --max-new-tokens 5
wrong "an option with a slip" "unknown option '--tempreature|did you mean '--temperature'?" "$hadal" generate x --tempreature=1
wrong "another name of what is missing" "unknown option '--output'|did you mean '--out'?" "$hadal" data prepare --tokenizer tok --input text.jsonl --output y
wrong "a model with a flag" "unknown option '-m'|the model stands without a flag" "$hadal" generate -m tok -p x
while read -r flag key; do
  wrong "a key of the recipe as a flag, $flag" "unknown option '$flag'|$key|(--set KEY=VALUE)" "$hadal" pretrain good.toml --run r "$flag" 1
  wrong "the same of plan" "$key" "$hadal" plan train good.toml "$flag=1"
done <<'E'
--lr 'lr.peak'
--learning-rate 'lr.peak'
--lr.peak 'lr.peak'
--batch-size 'train.rows'
--max-steps 'train.tokens'
--steps 'train.tokens'
--epochs 'data.epochs'
--seed 'model.seed'
--dtype 'model.dtype'
--model 'model.preset'
--data 'data.train'
--tokenizer 'data.tokenizer'
--weight_decay 'optimizer.weight_decay'
E
wrong "a flag that is like no other" "unknown option '--frobnicate' (hadal pretrain" "$hadal" pretrain good.toml --frobnicate
while IFS=';' read -r flag said; do
  wrong "generate $flag" "unknown option '$flag'|$said" "$hadal" generate tok "$flag" 1
done <<'E'
--top_p;did you mean '--top-p'?
--topk;did you mean '--top-k'?
-k;did you mean '--top-k'?
-T;did you mean '--temperature'?
--n;did you mean '--num-samples'?
--frequency-penalty;did you mean '--repetition-penalty'?
--greedy;--temperature 0 is greedy
--device;computed on the CPU
--output;standard output: >FILE
--stream;streamed unless --json
E
wrong "the recipe with a flag" "the recipe stands without a flag" "$hadal" pretrain --config good.toml --run r
wrong "the target with a flag" "the new folder stands without a flag" "$hadal" convert tok --out x
wrong "no run" "--run is needed" "$hadal" pretrain good.toml
wrong "a run for a recipe" "tok: it is a folder|--resume" "$hadal" pretrain tok
wrong "a run without its flag" "one argument too many: 'r'; the folder of the run has a flag: --run" "$hadal" pretrain good.toml r
wrong "recipe and resumption" "--resume cannot both be given" "$hadal" pretrain good.toml --resume r
wrong "a text without quotes" "one argument too many|needs quotes" "$hadal" generate tok once upon a time
wrong "two texts" "text|--prompt" "$hadal" generate tok "x" -p y
wrong "the recipe after --set" "RECIPE is needed|--set took 'good.toml' for its KEY=VALUE" "$hadal" pretrain --set good.toml --run r
wrong "the same of plan" "recipe is required; --set took 'good.toml'" "$hadal" plan train --set good.toml
wrong "the only verb left out" "unknown verb 'good.toml'; did you mean 'show good.toml'?: there is show" "$hadal" recipe good.toml
wrong "another name of a verb of data" "unknown verb 'stats'; did you mean 'info'?" "$hadal" data stats shards
wrong "the version as a verb" "did you mean '--version'?" "$hadal" version
wrong "an unknown option without a verb" "unknown option '--verison'; did you mean '--version'?|pretrain" "$hadal" --verison
wrong "a short one" "unknown option '-v'; did you mean '--version'?" "$hadal" -v
cmp <("$hadal" help data prepare) <("$hadal" data prepare --help) && cmp <("$hadal" help) <("$hadal" --help) && cmp <("$hadal" -V) <("$hadal" --version) || { echo "NO: help as a verb, -V"; bad=1; }
check_help() { # at most 109 characters a line, and what is both an argument and an option is asked for once
  if "$hadal" "$@" --help | grep -v "^  hadal \|^  echo " | grep -q ".\{110\}"; then echo "NO: hadal $* --help is too wide"; bad=1; fi
}
for verb in "" "data prepare" "tokenizer train" "pretrain" "generate" "chat" "watch" "report" "study balance" "inspect"; do check_help $verb; done
[ "$("$hadal" data prepare --help | grep -c "input.* REQUIRED")" = 1 ] || { echo "NO: the input is asked for twice"; bad=1; }
wrong "verb within a verb" "hadal data: a verb is needed|prepare" "$hadal" data
wrong "unknown flag" "hadal inspect|--bogus" "$hadal" inspect tiny --bogus
wrong "missing argument" "hadal generate|model is required" "$hadal" generate
wrong "missing value" "--seed needs a value" "$hadal" generate x --seed
wrong "flag twice" "--max-tokens" "$hadal" generate x --max-tokens 1 --max-tokens 2
wrong "stop string of nothing" "--stop: '' must not be empty" "$hadal" generate x --stop ''
wrong "recipe without an end" "/dev/zero: it is a pipe or a device" "$hadal" plan train /dev/zero
wrong "no number" "--top-p: x must be a number from 0 to 1" "$hadal" generate x --top-p x
wrong "below zero" "--temperature: -1 must be a number of 0 or more" "$hadal" generate x --temp -1
wrong "no seed" "--seed|x" "$hadal" generate x --seed x
wrong "number too large for its type" "--vocab-size" "$hadal" tokenizer train --out t text.jsonl --vocab-size 99999999999999999999
wrong "zero bytes" "--bytes: 0 must be a whole number, 1 or more" "$hadal" data generate --bytes 0 --out y
wrong "seed beyond 64 bits" "--seed: 18446744073709551616 must be a whole number, 0 or more" "$hadal" data prepare --tokenizer tok --input text.jsonl --out y --seed 18446744073709551616
wrong "negative seed of the choice" "--seed: -1 must be" "$hadal" data prepare --tokenizer tok --input text.jsonl --out y --seed -1
wrong "frequency of a half" "--min-frequency: 1.5 must be a whole number from 1" "$hadal" tokenizer train --out t text.jsonl --min-frequency 1.5
wrong "vocabulary of none" "--vocab-size: -1 must be a whole number from 1" "$hadal" tokenizer train --out t text.jsonl --vocab-size -1
wrong "too many threads" "--threads: 1025 must be a whole number from 0 to 1024" "$hadal" tokenizer train --out t text.jsonl --threads 1025
wrong "top-p above all" "--top-p: 1.5 must be a number from 0 to 1" "$hadal" generate x --top-p 1.5
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
set_to() { wrong "--set $1" "$2" "$hadal" pretrain good.toml --run r3 --set "$1"; }
for value in nan inf -inf; do
  for key in model.init_std lr.peak optimizer.weight_decay optimizer.eps balance.gamma_final balance.gamma_until mtp.lambda mtp.lambda_final; do
    set_to "$key=$value" "'$key' = $value: must be"
  done
done
set_to 'data.weights=[nan]' "'data.weights' = [nan]: must be finite"
set_to 'data.weights=[0]' "'data.weights'|above 0"
set_to 'data.weights=[1, 2]' "one number for each folder"
set_to 'data.epochs=[-1]' "'data.epochs'|0 or more"
set_to 'lr.tail_from=[0.9, 0.5]' "must be"
set_to 'model.init_std=-1' "'model.init_std' = -1.0: must be from 0 to 100"
set_to 'model.vocab_size=-1' "'model.vocab_size' = -1"
set_to 'model.vocab_size=10' "model.vocab_size = 10: the tokenizer has 400"
set_to 'model.preset=v9' "'model.preset' = \"v9\": must be one of tiny"
set_to 'model.dtype=f8_e4m3' "'model.dtype' = |must be|fp8"
set_to 'model.preset=v3' "GiB|at the very least|take a smaller model"
wrong "limit that is no size" "--memory-limit" "$hadal" pretrain good.toml --run r3 --memory-limit 3parrots
wrong "plan of a wrong recipe" "key.toml|train.row|train.rows" "$hadal" plan train key.toml
wrong "plan without a kind" "hadal plan: a verb is needed|train" "$hadal" plan
set_to 'model.config=none' "cannot open none"
set_to 'train.tokens=0' "'train.tokens' = 0: must be from 1"
set_to 'train.tokens=1.5' "'train.tokens' must be an integer, not 1.5"
set_to 'train.rows=0' "'train.rows' = 0"
set_to 'train.rows=99999999999' "'train.rows' = 99999999999|rows x data.sequence_length"
set_to 'train.micro_rows=3' "divisor"
set_to 'train.threads=-1' "'train.threads' = -1"
set_to 'data.sequence_length=0' "'data.sequence_length' = 0"
set_to 'data.sequence_length=100000' "positions for 1024"
set_to 'data.sequence_length=9223372036854775808' "not representable"
set_to 'data.train=[3]' "'data.train' must be a list of strings"
set_to 'data.train=[]' "'data.train' = []: must be one folder"
set_to 'data.train=["none"]' "none: there is no such folder"
set_to 'data.heldout=tok' "tok: no token shards"
set_to 'data.heldout=others' "others: the token shards were made with another tokenizer than tok"
set_to 'data.train=["others"]' "others: the token shards were made with another tokenizer than tok"
set_to 'data.tokenizer=none' "none"
set_to $'train.rows=4\nfoo=3' "must be one value"
set_to 'train.rows=' "'train.rows' must be an integer"
set_to 'train.rows' "must be section.key=value"
[ ! -e r3 ] || { echo "NO: a run folder was made for a recipe that is wrong"; bad=1; }
wrong "run in a file" "text.jsonl" "$hadal" pretrain good.toml --run text.jsonl
wrong "run without a name" "--run is needed" "$hadal" pretrain good.toml --run ''
wrong "recipe that is a folder" "shards: it is a folder" "$hadal" pretrain shards --run r3
printf '[model]\npreset = = 3\n' >syntax.toml
wrong "bad TOML" "syntax.toml:2: not valid TOML" "$hadal" pretrain syntax.toml --run r3
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
"$hadal" data prepare --tokenizer tok --input latin.txt --out s6 >out.txt 2>&1
grep -q "10 bytes of text" out.txt && echo "ok: invalid UTF-8 is kept" || { echo "NO: invalid UTF-8"; bad=1; }

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
wrong "corrupt checkpoint" "model.safetensors|damaged|the only checkpoint" "$hadal" pretrain good.toml --run hurt
# An older checkpoint is not lost: the line says how to go on from it, and that works.
cp -r run older && cp -r "older/checkpoints/$(basename "$step")" older/checkpoints/step-00000009
wrong "renamed checkpoint" "step-00000009|of step 5|to go on from step 5" "$hadal" pretrain good.toml --run older
: >older/checkpoints/step-00000009/trainer/state.json
wrong "corrupt newest checkpoint" "step-00000009|state.json|move older/checkpoints/step-00000009 away to go on from step 5" "$hadal" pretrain good.toml --run older
[ -d older/checkpoints/step-00000009 ] && [ -d older/checkpoints/step-00000005 ] || { echo "NO: a checkpoint is gone"; bad=1; }
mv older/checkpoints/step-00000009 aside
touch older/checkpoints/step-7 && mkdir older/checkpoints/step-mine older/checkpoints/step-00000004.bak
"$hadal" pretrain good.toml --run older >out.txt 2>&1
grep -q "going on from older/checkpoints/step-00000005" out.txt && [ -d older/checkpoints/step-mine ] && echo "ok: it goes on" || { echo "NO: it does not go on"; bad=1; }
for file in model.safetensors trainer/moments.safetensors trainer/state.json; do
  rm -rf hurt && cp -r run hurt && rm "hurt/checkpoints/$(basename "$step")/$file"
  wrong "checkpoint without $file" "$file: No such file" "$hadal" pretrain good.toml --run hurt
done
for file in model.safetensors tokenizer.json; do
  rm -rf hurt && cp -r run hurt && ln -sf /dev/zero "hurt/checkpoints/$(basename "$step")/$file"
  wrong "checkpoint with a $file without an end" "$file: it is a pipe or a device" timeout 60 "$hadal" pretrain good.toml --run hurt
done
rm -rf hurt && cp -r run hurt && sed -i -E 's/(\\"place\\":)[0-9]+/\199999/' "hurt/checkpoints/$(basename "$step")/trainer/state.json"
wrong "edited data position" "trainer/state.json|differs from what was saved" "$hadal" pretrain good.toml --run hurt
echo '{"step":' >>hurt/metrics.jsonl
wrong "damaged metrics" "hurt/metrics.jsonl:6 is not valid JSON" "$hadal" report hurt
mkdir run/checkpoints/step-00000099.tmp
"$hadal" report run >/dev/null && [ -d run/checkpoints/step-00000099.tmp ] && echo "ok: report leaves a save in progress alone" || { echo "NO: report touched a save"; bad=1; }
mkdir -p empty/checkpoints
wrong "run that has no checkpoint yet" "empty: is the folder of a run|no checkpoint yet" "$hadal" generate empty --prompt x
wrong "preset instead of a model" "tiny: there is no such model folder" "$hadal" generate tiny --prompt x

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
wrong "context beyond the model" "--context 9999: this model has positions for at most" "$hadal" generate "$step" --prompt x --context 9999
wrong "bad temperature" "temperature" "$hadal" generate "$step" --prompt x --temperature -1
wrong "negative seed" "--seed|-1" "$hadal" generate "$step" --prompt x --seed -1
wrong "prompt longer than the context" "--context" "$hadal" generate "$step" --prompt "$(printf 'word %.0s' $(seq 1 200))" --context 64
exit $bad
