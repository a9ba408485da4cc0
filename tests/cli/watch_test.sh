#!/usr/bin/env bash
# hadal watch: before, during and after a run; one frame, plain lines, and a terminal that Ctrl-C leaves as it was.
set -euo pipefail
hadal=${HADAL:?path of the program}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bad=0
check() { if eval "$2"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }

"$hadal" data generate --seed 3 --bytes 60000 --out text.jsonl >/dev/null
"$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >/dev/null 2>&1
"$hadal" data prepare --tokenizer tok --input text.jsonl --out shards >/dev/null 2>&1
printf '[model]\npreset = "tiny"\n[data]\ntokenizer = "tok"\ntrain = ["shards"]\nheldout = "shards"\nsequence_length = 32\n[train]\ntokens = 3840\nrows = 4\n' >recipe.toml

check "a run that has not begun" '[[ $("$hadal" watch run --once) == *"no step yet"* ]]'
"$hadal" watch run --interval 0.05 >lines.txt &
watcher=$!
"$hadal" pretrain recipe.toml --run run >/dev/null 2>&1
wait "$watcher"
check "the view begins before the run" 'grep -q "no step yet" <(head -n 1 lines.txt)'
check "and ends with it" 'grep -q "^step 30  100 %.*validation (first 64 rows of shards \[[0-9a-f]*\]) [0-9.]* bits per byte  finished$" <(tail -n 1 lines.txt)'
check "no escape codes where there is no terminal" '! grep -q "$(printf "\033")" lines.txt'

"$hadal" watch run --once >frame.txt
loss=$(tail -n 1 run/metrics.jsonl | grep -o '"lm_loss":[0-9.]*' | head -n 1 | cut -d: -f2)
check "the frame has the last loss" 'grep -q "lm loss $(printf "%.4f" "$loss")" frame.txt'
for word in "100 %  step 30" "finished" "learning rate" "|g|" "tokens/s" "share of peak" "MaxVio layer 1" "MaxVio layer 2" "MaxVio MTP 1" "validation at step 30 (first 64 rows of shards [" "MTP 1 "; do
  check "the frame has $word" 'grep -qF "$word" frame.txt'
done
check "the frame has a curve" 'grep -qF "⢄" frame.txt || grep -qF "⠉" frame.txt'
check "no escape codes in a frame" '! grep -q "$(printf "\033")" frame.txt'

# script(1) gives the program a terminal. INT is what Ctrl-C sends.
script -qec "bash -c '\"$hadal\" watch nothing & pid=\$!; sleep 1; kill -INT \$pid; wait \$pid; echo rc=\$?'" typescript >/dev/null
check "Ctrl-C ends the view without an error" 'grep -q "rc=0" typescript'
check "the first screen comes back, with its cursor" 'grep -qF "$(printf "\033[?25h\033[?1049l")" <(tr -d "\r\n" <typescript)'
check "nothing is drawn on the other screen afterwards" '! grep -qF "$(printf "\033[H")" <(sed "s/.*1049l//;1,/1049l/d" typescript)'

head -c 200 /dev/urandom | base64 -w 0 >run/metrics.jsonl
echo >>run/metrics.jsonl
check "a file that is not metrics is named" '! "$hadal" watch run --once 2>err.txt && grep -q "metrics.jsonl:1" err.txt'
exit $bad
