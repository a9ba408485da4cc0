#!/usr/bin/env bash
# generate and chat as a user meets them: streaming, JSON, seeds, both cache forms, stop strings, a full context, Ctrl-C.
set -euo pipefail
hadal=${HADAL:?path of the program}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bad=0
check() { if "${@:2}"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }
same() { [ "$1" = "$2" ]; }

"$hadal" data generate --seed 3 --bytes 60000 --out text.jsonl >/dev/null
"$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >/dev/null 2>&1
"$hadal" data prepare --tokenizer tok --input text.jsonl --out shards >/dev/null 2>&1
printf '[model]\npreset = "tiny"\n[data]\ntokenizer = "tok"\ntrain = ["shards"]\nsequence_length = 64\n[train]\ntokens = 10240\nrows = 8\n' >recipe.toml
"$hadal" pretrain recipe.toml --run run >/dev/null 2>&1
model=$(ls -d run/checkpoints/step-* | tail -n 1)
generate() { "$hadal" generate "$model" --threads 2 --prompt "$@" 2>err.txt; }
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$@"; }

generate "Grüße 🙂 and" --max-tokens 40 --seed 5 >streamed.txt
generate "Grüße 🙂 and" --max-tokens 40 --seed 5 --json >one.json
check "what is streamed is the prompt and the text" same "$(cat streamed.txt)" "Grüße 🙂 and$(field one.json text)"
check "the rates are told on stderr" grep -q "tokens read at .* 40 written at .* stop: max_tokens" <(generate "x" --max-tokens 40 >sink.txt; cat err.txt)
check "JSON has its keys" same "$(python3 -c 'import json; print(*json.load(open("one.json")))')" "prompt_ids ids logprobs text stop dropped"
check "as many log-probs as tokens" python3 -c 'import json; d = json.load(open("one.json")); assert len(d["ids"]) == len(d["logprobs"]) == 40 and max(d["logprobs"]) <= 0'
check "streamed bytes are UTF-8 at any temperature" python3 -c 'import sys; open(sys.argv[1], encoding="utf-8").read()' <(generate "x" --max-tokens 200 --temperature 5)

check "a run stands for its newest checkpoint" same "$("$hadal" generate run --prompt the --max-tokens 30 --seed 1 --threads 2 2>err.txt)" "$(generate the --max-tokens 30 --seed 1)"
for verb in "inspect run --json" "tokenizer encode --model run recipe.toml"; do
  check "a run stands for its newest checkpoint: ${verb% *}" same "$("$hadal" $verb)" "$("$hadal" ${verb/run/$model})"
done
check "same seed, same text" same "$(generate the --max-tokens 30 --seed 1)" "$(generate the --max-tokens 30 --seed 1)"
check "other seed, other text" test "$(generate the --max-tokens 30 --seed 1)" != "$(generate the --max-tokens 30 --seed 2)"
check "the number of threads changes nothing" same "$(generate the --max-tokens 30 --seed 1)" "$("$hadal" generate "$model" --threads 1 --prompt the --max-tokens 30 --seed 1 2>err.txt)"
check "both cache forms, same greedy text in f32" same "$(generate the --max-tokens 30 --temperature 0 --dtype f32 --form latent)" "$(generate the --max-tokens 30 --temperature 0 --dtype f32 --form expanded)"
check "top-k 1 is greedy" same "$(generate the --max-tokens 20 --top-k 1)" "$(generate the --max-tokens 20 --temperature 0)"
check "a tiny top-p is greedy" same "$(generate the --max-tokens 20 --top-p 1e-9)" "$(generate the --max-tokens 20 --temperature 0)"
check "min-p 1 is greedy" same "$(generate the --max-tokens 20 --min-p 1)" "$(generate the --max-tokens 20 --temperature 0)"
check "a repetition penalty changes greedy text" test "$(generate the --max-tokens 40 --temperature 0 --repetition-penalty 2)" != "$(generate the --max-tokens 40 --temperature 0)"

generate "the" --max-tokens 100 --seed 1 --stop e --stop a --json >stop.json
check "stop strings end the text" same "$(field stop.json stop)" stop_string
check "nothing of a stop string is shown" python3 -c 'import json; t = json.load(open("stop.json"))["text"]; assert "e" not in t and "a" not in t, t'

generate "the" --max-tokens 200 --temperature 0 --context 64 --json >full.json
check "a full context stops" same "$(field full.json stop) $(field full.json dropped)" "context 0"
generate "the" --max-tokens 200 --temperature 0 --context 64 --overflow drop-oldest --json >drop.json
check "drop-oldest goes on" python3 -c 'import json; d = json.load(open("drop.json")); assert d["stop"] == "max_tokens" and len(d["ids"]) == 200 and d["dropped"] >= 128, d'

# Signals, on greedy text that goes round for ever.
endless=(--temperature 0 --max-tokens 100000000 --overflow drop-oldest --context 64)
wait_for() { for _ in $(seq 1 3000); do if [ -s "$1" ]; then return 0; fi; sleep 0.02; done; echo "$1 stays empty"; exit 1; }
"$hadal" generate "$model" --prompt "" "${endless[@]}" >endless.txt 2>err.txt &
pid=$!
wait_for endless.txt
kill -INT "$pid"
rc=0 && wait "$pid" || rc=$?
check "Ctrl-C ends the text in good order" same "$rc $(grep -o "stop: .*" err.txt)" "0 stop: interrupted"

mkfifo lines
"$hadal" chat "$model" "${endless[@]}" <lines >chat.txt 2>err.txt &
pid=$!
exec 3>lines
for turn in 1 2; do
  echo "hello" >&3
  for _ in $(seq 1 3000); do if [ "$(tail -n 1 chat.txt | tr -d '\n' | wc -c)" -gt 3 ]; then break; fi; sleep 0.02; done
  kill -INT "$pid"
  for _ in $(seq 1 3000); do if [ "$(tail -n 1 chat.txt)" = "> " ]; then break; fi; sleep 0.02; done
done
echo >&3
rc=0 && wait "$pid" || rc=$?
exec 3>&-
check "Ctrl-C ends an answer, an empty line the chat" same "$rc $(grep -c '^> ' chat.txt)" "0 3"
exit $bad
