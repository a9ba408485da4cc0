#!/usr/bin/env bash
# generate as a user meets it: streaming, JSON, where the text comes from, seeds, samples, both cache forms, stop strings,
# a full context, Ctrl-C; and convert --no-mtp.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
bad=0
check() { if "${@:2}"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }
same() { [ "$1" = "$2" ]; }

small_text
printf '[model]\npreset = "tiny"\n[data]\ntokenizer = "tok"\ntrain = ["shards"]\nsequence_length = 64\n[train]\ntokens = 10240\nrows = 8\n' >recipe.toml
"$hadal" pretrain recipe.toml --run run >/dev/null 2>&1
model=$(ls -d run/checkpoints/step-* | tail -n 1)
generate() { "$hadal" generate "$model" --threads 2 --prompt "$@" 2>err.txt; }
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$@"; }

generate "Grüße 🙂 and" --max-tokens 40 --seed 5 >streamed.txt
generate "Grüße 🙂 and" --max-tokens 40 --seed 5 --json >one.json
check "what is streamed is the prompt and the text" same "$(cat streamed.txt)" "Grüße 🙂 and$(field one.json text)"
generate "x" --max-tokens 40 --seed 5 >sink.txt
check "the rates are told on stderr" grep -q "token read at .* 40 written at .* seed 5, stop: max_tokens" err.txt
check "JSON has its keys" same "$(python3 -c 'import json; print(*json.load(open("one.json")))')" "model prompt prompt_ids sampling seed ids logprobs text stop dropped"
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

# The text to continue: an argument, -p, a file, a pipe; each is the same text.
"$hadal" generate "$model" "two words" -n 12 -s 4 -t 2 >want.txt 2>err.txt
check "the model's own settings are told" grep -q "^generation_config.json: temperature 0.6, top-p 0.95" err.txt
check "an option wins over them" same "$("$hadal" generate "$model" x -n 1 --temp 1 2>&1 >sink.txt | grep '^generation_config.json')" "generation_config.json: top-p 0.95"
one() { "$hadal" generate "$model" -n 12 -s 4 -t 2 "$@" 2>err.txt; }
printf '\xef\xbb\xbftwo words\r\n' >prompt.txt
check "-p" same "$(one -p "two words" </dev/null)" "$(cat want.txt)"
check "--prompt-file" same "$(one --prompt-file prompt.txt </dev/null)" "$(cat want.txt)"
check "a pipe" same "$(echo "two words" | one)" "$(cat want.txt)"
check "a pipe, by name" same "$(echo "two words" | one -f -)" "$(cat want.txt)"
check "what is given goes before what is piped in" same "$(echo other | one "two words")" "$(cat want.txt)"
printf 'a\r\nb\rc\n' | one --json >lines.json
check "line ends of other systems in a pipe" python3 -c 'import json; assert json.load(open("lines.json"))["prompt"] == "a\nb\nc"'
check "nothing at all begins with BOS" test -n "$(one </dev/null)"
for bytes in '\xff\xfea\x00' 'a\xe4b'; do
  rc=0 && printf "$bytes" | one >sink.txt || rc=$?
  check "what is not UTF-8 is refused: $bytes" same "$rc $(grep -c 'hadal: error: standard input.*save' err.txt)" "1 1"
done

# Samples, seeds, limits.
one "two words" --num-samples 3 --json >three.json
check "the second sample is that of the next seed" same "$(python3 -c 'import json; print("two words" + json.load(open("three.json"))["samples"][1]["text"])')" "$("$hadal" generate "$model" "two words" -n 12 -s 5 2>err.txt)"
check "each sample says its seed" same "$(one "two words" --num-samples 3 | grep -o '^=== sample.*' | tr '\n' ' ')" "=== sample 1 of 3, seed 4 === sample 2 of 3, seed 5 === sample 3 of 3, seed 6 "
"$hadal" generate "$model" the -n 20 --json >random.json 2>err.txt </dev/null
check "the random seed makes the same text again" same "$(field random.json text)" "$("$hadal" generate "$model" the -n 20 --json -s "$(field random.json seed)" 2>err.txt | python3 -c 'import json, sys; print(json.load(sys.stdin)["text"])')"
check "no tokens: the text alone" same "$(generate the -n 0)" the
generate "the" --max-tokens 3 --temperature 1e-40 --json >cold.json
check "a tiny temperature is greedy" same "$(field cold.json ids)" "$("$hadal" generate "$model" -p the -n 3 --temp 0 --json 2>err.txt | python3 -c 'import json, sys; print(json.load(sys.stdin)["ids"])')"
generate "$(printf 'word %.0s' $(seq 1 60))" --max-tokens 1 --context 32 --overflow drop-oldest >sink.txt
check "what is forgotten of a prompt is told" grep -q "of the prompt forgotten" err.txt
rc=0 && one the >/dev/full || rc=$?
check "a full disk ends the text with an error" same "$rc $(grep -c 'standard output: No space' err.txt)" "1 1"

# A folder without MTP modules, for programs that know none.
"$hadal" convert run whole --json >whole.json 2>err.txt
"$hadal" convert run trunk --no-mtp --json >trunk.json 2>err.txt
check "--no-mtp leaves the MTP modules out" same "$(field whole.json mtp_modules) $(field trunk.json mtp_modules)" "1 0"
check "and the text is the same" same "$("$hadal" generate trunk the -n 20 --temp 0 2>err.txt)" "$("$hadal" generate whole the -n 20 --temp 0 2>err.txt)"
rc=0 && "$hadal" convert trunk again --no-mtp 2>err.txt || rc=$?
check "twice is an error" same "$rc $(grep -c 'this model has no MTP modules' err.txt)" "1 1"
exit $bad
