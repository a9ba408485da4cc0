#!/usr/bin/env bash
# --json: every verb that finds something out prints it as one line of JSON and nothing else on standard output, with
# the figures that its text has.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
bad=0

cat >look.py <<'P'
import json, sys, tomllib
j = json.load(open("out.json"))
def last():  # the last step of metrics.jsonl
    return json.loads(open("run/metrics.jsonl").readlines()[-1])
def keys():  # of the recipe as text
    return [(s, k) for s, values in tomllib.load(open("shown.toml", "rb")).items() for k in values]
sys.exit(not eval(sys.argv[1]))
P
# holds WHAT EXPRESSION COMMAND...: the command prints one line, JSON j, of which the expression of Python is true.
holds() {
  local what=$1 expression=$2
  shift 2
  if ! "$hadal" "$@" >out.json 2>err.txt; then
    echo "NO: $what: it failed: $(cat err.txt)"
    bad=1
  elif [ "$(wc -l <out.json)" = 1 ] && python3 look.py "$expression"; then
    echo "ok: $what"
  else
    echo "NO: $what: $expression of: $(cut -c1-400 out.json)"
    bad=1
  fi
}

holds "data generate" 'j["file"] == "text.jsonl" and j["text_bytes"] >= 60000 and j["documents"] == sum(1 for _ in open("text.jsonl"))' \
  data generate --seed 3 --bytes 60000 --out text.jsonl --json
holds "tokenizer train" 'j["vocab_size"] == 400 and j["file"] == "tok/tokenizer.json"' tokenizer train --vocab-size 400 --out tok text.jsonl --json
holds "data prepare" 'j["training"]["documents"] > 0 and j["validation"]["tokens"] > 0' data prepare --tokenizer tok text.jsonl --out shards --validation-share 0.3 --json
holds "data info" 'j["folder"] == "shards" and j["documents"] > 0' data info shards --json
printf '[model]\npreset = "tiny"\nhidden_size = 32\n[data]\ntokenizer = "tok"\ntrain = ["shards"]\nheldout = "shards/validation"\nsequence_length = 32\n[train]\ntokens = 1280\nrows = 4\nthreads = 2\n' >recipe.toml
holds "recipe show" 'j["model"]["preset"] == "tiny" and j["model"]["hidden_size"] == 32 and j["lr"]["peak"] == 0.25 and j["data"]["train"] == ["shards"] and j["train"]["recompute"] == "none"' \
  recipe show recipe.toml --set lr.peak=0.25 --json
"$hadal" recipe show recipe.toml >shown.toml
holds "every key of the text is in it" 'all(k in j[s] for s, k in keys())' recipe show recipe.toml --json
holds "plan" 'j["memory"]["fits"] is True and "time" not in j' plan train recipe.toml --no-time --json
holds "watch before a run" 'j["run"] == "run" and j["state"] == "waiting" and j["step"] == 0 and j["lm_loss"] is None and j["validation"] == []' watch run --json
holds "pretrain" 'j["run"] == "run" and j["finished"] is True and j["step"] == j["steps_made"] == 10 and j["tokens"] == 1280 and j["report"] == "run/report.html" and j["model"] == "run/checkpoints/step-00000010" and j["seconds"] > 0 and j["validation"][0]["step"] == 10' \
  pretrain recipe.toml --run run --json
cp out.json pretrain.json
holds "of a run that is finished" 'j["steps_made"] == 0 and j["step"] == 10' pretrain --resume run --json
holds "watch" 'j["state"] == "finished" and j["eta_seconds"] == 0 and j["max_violation_of"][:2] == ["layer 1", "layer 2"] and len(j["max_violation"]) == 3 and all(j[k] == json.load(open("pretrain.json"))[k] for k in ("lm_loss", "lm_loss_recent", "validation", "tokens", "grad_norm"))' watch run --json
holds "its figures are those of metrics.jsonl" 'all(j[k] == last()[k] for k in ("lm_loss", "lr", "mtp_loss"))' watch run --json
holds "watch of two runs" '[x["run"] for x in j] == ["run", "none"]' watch run none --json
"$hadal" report run --no-sample | grep -q "lm loss of the last 10 steps" || { echo "NO: as many steps as there are"; bad=1; }
holds "report" 'j["steps"] == 10 and j["report"] == "run/report.html"' report run --no-sample --json
holds "inspect" 'j["parameters"] > 0' inspect run --json
holds "a tokenizer alone" 'j["tokenizer"]["vocab_size"] == 400' inspect tok --json
holds "generate" 'len(j["ids"]) == 3 and j["stop"] == "max_tokens"' generate run the -n 3 --json
holds "convert" 'j["target"] == "model" and j["dtype"] == "bf16"' convert run model --dtype bf16 --json
holds "chat" 'j["question"] == "hello" and j["tokens"] <= 3 and j["seed"] == 5' chat run -n 3 -s 5 --json < <(echo hello)

printf 'one\ntwo\n' | "$hadal" chat run -n 3 --json >chat.jsonl 2>err.txt
[ "$(python3 -c 'import json; print([json.loads(l)["question"] for l in open("chat.jsonl")])')" = "['one', 'two']" ] || { echo "NO: a line for each answer"; bad=1; }

# Stopped before its end: the object says so, and so does the exit status.
"$hadal" pretrain recipe.toml --run stopped --set train.tokens=100000000 --json >stopped.json 2>err.txt &
pid=$!
while [ ! -s stopped/metrics.jsonl ] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
kill -INT "$pid"
rc=0
wait "$pid" || rc=$?
[ "$rc" = 130 ] && python3 -c 'import json; j = json.load(open("stopped.json")); assert j["finished"] is False and j["step"] >= 1 and j["model"]' || { echo "NO: stopped: exit $rc, $(cat stopped.json err.txt)"; bad=1; }

# No verb that prints something is without it: those whose only use is to hold others, aside.
verbs() { "$hadal" "$@" --help | sed -n '/^Subcommands:/,/^$/p' | awk 'NR > 1 && /^  [a-z]/ {print $1}'; }
for verb in $(verbs); do
  inner=$(verbs "$verb")
  for one in ${inner:-.}; do
    words=("$verb")
    [ "$one" = . ] || words+=("$one")
    "$hadal" "${words[@]}" --help | grep -q -- "--json " || { echo "NO: ${words[*]} has no --json"; bad=1; }
  done
done
exit $bad
