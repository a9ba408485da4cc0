#!/usr/bin/env bash
# Recipes on the command line: shown, set over, refused alike by plan and pretrain; sizes by keys; a config.json from a
# template; weights to start from that lack MTP modules; options that are numbers.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
data=${HADAL_TEST_DATA:?folder of test data}
die() {
  echo "NO: $*"
  exit 1
}
# refused WORDS COMMAND...: fails with one line that holds the words; the line is kept in line.txt.
refused() {
  local words=$1 rc=0
  shift
  "$@" >out.txt 2>line.txt || rc=$?
  [ "$rc" -gt 0 ] && [ "$rc" -lt 128 ] && [ "$(wc -l <line.txt)" = 1 ] && grep -qF -- "$words" line.txt || die "$* gave $rc: $(cat line.txt)"
}

"$hadal" data generate --seed 3 --bytes 20000 --out text.jsonl >/dev/null
"$hadal" tokenizer train --vocab-size 300 --out TOK text.jsonl >/dev/null 2>&1
"$hadal" data prepare --tokenizer TOK --input text.jsonl --out SHARDS >/dev/null 2>&1
small=$(dirname "$(dirname "$data")")/recipes/small.toml
cp "$small" small.toml

# A recipe is shown resolved, and what is shown is a recipe.
"$hadal" recipe show --set lr.peak=1e-3 --set train.tokens=1e3 small.toml >shown.toml
grep -q '^peak = 0.001  # learning rate after the warm-up (default: 0.004)$' shown.toml || die "no peak: $(grep peak shown.toml)"
grep -q '^tokens = 1000 ' shown.toml && grep -q '^hidden_size = 96 ' shown.toml && grep -q '^beta2 = 0.95 .*(default)$' shown.toml || die "not resolved"
"$hadal" recipe show shown.toml | cmp - shown.toml || die "what was shown is another recipe"
echo "ok: shown"

# One value for each --set, so that the recipe may stand behind it; --threads over the recipe.
"$hadal" pretrain --set train.tokens=1024 --threads 2 small.toml --run RUN >/dev/null 2>err.txt || die "$(cat err.txt)"
grep -q '^threads = 2 ' RUN/recipe.toml && grep -q '^hidden_size = 96 ' RUN/recipe.toml || die "the run's recipe lacks what was set"
grep -q '"hidden_size": 96' RUN/checkpoints/step-*/config.json || die "the model has another size"
echo "ok: --set, --threads"

# What cannot work is refused alike, and no folder is made.
for set in 'data.sequence_length=2000' 'model.num_nextn_predict_layers=200' 'data.train=nowhere' 'data.heldout=nowhere' 'model.vocab_size=9' \
  'model.init_from=nowhere' 'model.n_group=3' 'data.epochs=0.1' 'optimizer.eps=1e-46' 'train.micro_rows=3' 'model.hidden_sise=4' 'lr.lr=1' \
  'train.tokens=0' 'data.tokenizer=' 'data.train=[]' 'data.tokenizer=nowhere' 'lr.peak=20' 'optimizer.weight_decay=1e3'; do
  refused "" "$hadal" plan train small.toml --no-time --set "$set"
  cp line.txt plan.txt
  refused "" "$hadal" pretrain small.toml --run none --set "$set"
  cmp -s line.txt plan.txt || die "$set: plan says $(cat plan.txt), pretrain $(cat line.txt)"
  [ ! -e none ] || die "$set: a folder was made"
done
refused "'lr.peak'" "$hadal" plan train small.toml --set train.learning_rate=1
echo "ok: refused alike"

# A config.json from a template, changed, trained.
sed '/hidden_size\|num_hidden_layers\|preset/d' small.toml >from.toml
"$hadal" inspect tiny --config >config.json
sed -i 's/"num_hidden_layers": 3/"num_hidden_layers": 2/; s/"hidden_size": 64/"hidden_size": 48/' config.json
"$hadal" pretrain from.toml --run OWN --set model.config=config.json --set train.tokens=1024 --set model.hidden_size=32 >/dev/null 2>err.txt || die "$(cat err.txt)"
grep -q '"hidden_size": 32' OWN/checkpoints/step-*/config.json && grep -q '"num_hidden_layers": 2' OWN/checkpoints/step-*/config.json || die "not the config that was given"
sed '/"num_hidden_layers"/d; /"kv_lora_rank"/d' config.json >less.json
refused "fields 'num_hidden_layers', 'kv_lora_rank' are missing" "$hadal" inspect less.json
echo "ok: template"

# Weights without the MTP module that their config counts: every verb says so, and training starts it afresh.
"$hadal" pretrain small.toml --run PLAIN --set model.num_nextn_predict_layers=0 --set train.tokens=1024 >/dev/null 2>&1
cp -r PLAIN/checkpoints/step-* MODEL
sed -i 's/"num_nextn_predict_layers": 0/"num_nextn_predict_layers": 1/' MODEL/config.json
said='MODEL: the config counts 1 MTP module, the weights hold none'
"$hadal" inspect MODEL >out.txt
grep -qF "$said: what is missing is left out" out.txt || die "inspect says nothing"
"$hadal" generate MODEL --prompt a --max-tokens 1 >/dev/null 2>err.txt && grep -qF "$said" err.txt || die "generate: $(cat err.txt)"
"$hadal" convert MODEL CONVERTED >/dev/null 2>err.txt && grep -qF "$said" err.txt || die "convert: $(cat err.txt)"
start=(--set model.init_from=MODEL --set train.tokens=1024)
"$hadal" plan train from.toml --no-time "${start[@]}" >/dev/null 2>err.txt && grep -qF "$said: what is missing starts afresh" err.txt || die "plan: $(cat err.txt)"
"$hadal" pretrain from.toml --run FROM "${start[@]}" >/dev/null 2>err.txt && grep -qF "$said: what is missing starts afresh" err.txt || die "pretrain: $(cat err.txt)"
grep -q '"num_nextn_predict_layers": 1' FROM/checkpoints/step-*/config.json || die "no MTP module was trained"
echo "ok: MTP modules that are missing"

# Options that are numbers.
for value in nan inf 1.5 0x10 -1 1e30 ten ''; do
  refused "--threads" "$hadal" verify MODEL --reference none --threads "$value"
  refused "--sequence" "$hadal" inspect tiny --sequence "$value"
done
for value in nan -1 1GiBi 99999999999999999999GiB ''; do refused "--memory-limit" "$hadal" plan train small.toml --memory-limit "$value"; done
"$hadal" inspect tiny --sequence 1e3 | grep -q "rows of 1000" || die "1e3 is no integer"
"$hadal" plan train small.toml --no-time --memory-limit 1.5g | grep -q 1610612736 || die "1.5g is no size"
echo "ok: numbers"
