#!/usr/bin/env bash
# hadal watch: before, during and after a run; one frame, plain lines, and a terminal that Ctrl-C leaves as it was.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
bad=0
check() { if eval "$2"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }

small_text
printf '[model]\npreset = "tiny"\n[data]\ntokenizer = "tok"\ntrain = ["shards"]\nheldout = "shards"\nsequence_length = 32\n[train]\ntokens = 3840\nrows = 4\n' >recipe.toml

check "a run that has not begun" '[[ $("$hadal" watch run --once) == *"no step yet"* ]]'
"$hadal" watch run --interval 0.05 >lines.txt &
watcher=$! pid=$!
"$hadal" pretrain recipe.toml --run run >/dev/null 2>&1
wait "$watcher"
check "the view begins before the run" 'grep -q "no step yet" <(head -n 1 lines.txt)'
check "and ends with it" 'grep -q "^step 30  100 %.*validation [0-9.]* nats/token [0-9.]* bits/byte (first 64 rows of shards \[[0-9a-f]*\])  finished$" <(tail -n 1 lines.txt)'
check "no escape codes where there is no terminal" '! grep -q "$(printf "\033")" lines.txt'

"$hadal" watch run --once >frame.txt
loss=$(tail -n 1 run/metrics.jsonl | grep -o '"lm_loss":[0-9.]*' | head -n 1 | cut -d: -f2)
check "the frame has the last loss" 'grep -q "lm loss $(printf "%.4f" "$loss")" frame.txt'
for word in "100 %  finished  step 30" "(mean of 20: " "learning rate" "|g|" "tokens/s, mean" "MFU, mean" "MaxVio layer 1" "MaxVio layer 2" "MaxVio MTP 1" ", step 30" "nats/token" "bits/byte"; do
  check "the frame has $word" 'grep -qF "$word" frame.txt'
done
check "the frame has a curve" 'grep -qF "⢄" frame.txt || grep -qF "⠉" frame.txt'
check "no escape codes in a frame" '! grep -q "$(printf "\033")" frame.txt'

# More than two labels on both axes.
check "round numbers below the plot" '[ "$(grep -A 1 "└" frame.txt | tail -n 1 | wc -w)" -ge 3 ]'
check "and beside it" '[ "$(grep -c "┤" frame.txt)" -ge 3 ]'
for columns in 40 80 200; do
  script -qec "stty cols $columns rows 30; NO_COLOR=1 \"$hadal\" watch run --once" typescript >/dev/null
  check "a terminal of $columns columns" 'python3 -c "import sys; assert max(len(l.rstrip()) for l in open(\"typescript\", newline=\"\\n\") if not l.startswith(\"Script\")) <= '$columns'"'
done

# Two runs, the second shorter, of another shape, and in another folder of the same name.
mkdir -p second
"$hadal" pretrain recipe.toml --run second/run --set model.preset=demo --set model.dtype=f32 --set train.tokens=1920 --set train.rows=6 >said.txt 2>err.txt
check "pretrain says where the report is" 'grep -q "^report: second/run/report.html$" said.txt'
check "a log has plain lines" '! grep -q "$(printf "[\033\r]")" err.txt && grep -q "lm loss [0-9.]*" err.txt'
"$hadal" watch run second/run --once >both.txt
for word in "a  $(basename "$work")/run " "b  second/run " "100 %" "key of the recipe" "model.preset" "train.rows" "lm loss"; do
  check "two runs: $word" 'grep -qF "$word" both.txt'
done
check "two runs: both curves, no colours" 'grep -qE "[ab*]{3}" both.txt && ! grep -q "$(printf "\033")" both.txt'
check "two runs: what is the same is not listed" '! grep -q "lr.peak" both.txt'
"$hadal" watch run second/run --interval 0.05 >lines2.txt
check "two runs: lines by name" 'grep -q "^$(basename "$work")/run: step 30 " lines2.txt && grep -q "^second/run: step 10 " lines2.txt'
script -qec "TERM=xterm \"$hadal\" watch run second/run --once" typescript >/dev/null
check "two runs: colours on a terminal" 'grep -qF "$(printf "\033[36m")" typescript'

"$hadal" report run second/run --json-out figures.json >table.txt
"$hadal" report run second/run --json >printed.json
check "report --json prints what --json-out writes" 'cmp figures.json printed.json'
check "a comparison names its page" 'grep -q "^report: comparison.html$" table.txt && grep -q "<td>train.rows</td>" comparison.html'
check "its figures" 'python3 -c "import json; a, b = json.load(open(\"figures.json\")); assert a[\"steps\"] == 30 and b[\"steps\"] == 10"'
check "the same run twice is refused" '! "$hadal" report run second/../run 2>err.txt && grep -q "given twice" err.txt'
"$hadal" report run >table.txt
for word in "before training, nats per token" "bits per byte" "MFU" "report: run/report.html" "at the start of a document"; do
  check "report: $word" 'grep -qF "$word" table.txt'
done
check "the sample is on the page" 'grep -qF "A sample of its text" run/report.html'
cp run/sample.json once.json
"$hadal" report run >/dev/null
check "and kept" 'cmp run/sample.json once.json'
"$hadal" report run --no-sample >table.txt
check "or left out" '! grep -q "A sample of its text" run/report.html'

# script(1) gives the program a terminal. INT is what Ctrl-C sends.
script -qec "bash -c '\"$hadal\" watch nothing & pid=\$!; sleep 1; kill -INT \$pid; wait \$pid; echo rc=\$?'" typescript >/dev/null
check "Ctrl-C ends the view without an error" 'grep -q "rc=0" typescript'
check "the first screen comes back, with its cursor" 'grep -qF "$(printf "\033[?25h\033[?1049l")" <(tr -d "\r\n" <typescript)'
check "nothing is drawn on the other screen afterwards" '! grep -qF "$(printf "\033[H")" <(sed "s/.*1049l//;1,/1049l/d" typescript)'

head -c 200 /dev/urandom | base64 -w 0 >run/metrics.jsonl
echo >>run/metrics.jsonl
check "a file that is not metrics is named" '! "$hadal" watch run --once 2>err.txt && grep -q "metrics.jsonl:1" err.txt'
exit $bad
