#!/usr/bin/env bash
# A run from outside: its folder is moved or replaced while it trains, it is resumed without its recipe, its terminal
# goes away, its output is closed. What is waited for is the run's progress, never a time.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
die() {
  echo "NO: $*"
  if [ -f log ]; then tail -n 4 log; fi
  exit 1
}

small_text
cat >recipe.toml <<E2
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["shards"]
sequence_length = 32
[train]
tokens = $((6 * 2 * 32))
rows = 2
threads = 2
[checkpoint]
every = 2
keep = 2
E2
sed 's/^tokens = .*/tokens = 1000000000/' recipe.toml >endless.toml

start() { # start RUN: an endless run in the background
  "$hadal" pretrain endless.toml --run "$1" >log 2>&1 &
  pid=$!
}
until_step() { # until_step RUN N
  while [ ! -f "$1/metrics.jsonl" ] || [ "$(wc -l <"$1/metrics.jsonl")" -lt "$2" ]; do
    kill -0 "$pid" 2>/dev/null || die "$1: the run ended before step $2"
    sleep 0.01
  done
}
ends() { # ends STATUS WHAT
  local rc=0
  wait "$pid" || rc=$?
  pid=
  [ "$rc" = "$1" ] || die "$2: ended with $rc, not $1"
  said=$(sed -n 's/^hadal: error: //p' log)
}
fails() { # fails WHAT COMMAND...: status 1 and one line of error, which goes to `said`
  local what=$1 rc=0
  shift
  "$@" >log 2>&1 || rc=$?
  [ "$rc" = 1 ] || die "$what: exit status $rc"
  [ "$(grep -c '^hadal: error: ' log)" = 1 ] || die "$what: not one line of error"
  said=$(sed -n 's/^hadal: error: //p' log)
}

# The folder goes away, or another run's comes in its place.
start moved
until_step moved 4
mv moved aside
ends 1 "moved"
[[ $said == "moved: was moved, removed or replaced while this run worked in it: the run stops and writes nothing more" ]] || die "moved: $said"
[ ! -e moved ] || die "moved: a new folder was made"
"$hadal" pretrain recipe.toml --run other >/dev/null 2>&1
start moved
until_step moved 2
mv moved gone
cp -r other moved
ends 1 "replaced"
diff -r other moved || die "replaced: something was written into another run's folder"
start removed
until_step removed 2
while [ -e removed ] && ! rm -r removed 2>/dev/null; do :; done # a save may be under way, and write into what is being removed
ends 1 "removed"
[ ! -e removed ] || die "removed: a new folder was made"
echo "ok: a run stops when its folder is moved, removed or replaced"

# A folder in which nothing was trained is used again; a recipe that cannot work makes none.
rc=0
HADAL_FAULT=write:1:step-00000002.tmp "$hadal" pretrain recipe.toml --run fresh --set lr.peak=1e-3 >log 2>&1 || rc=$?
[ "$rc" = 137 ] || die "fresh: ended with $rc, not killed"
"$hadal" pretrain recipe.toml --run fresh >log 2>&1 || die "fresh: a folder without a checkpoint is not used again"
diff -r -x state.json other/checkpoints fresh/checkpoints || die "fresh: other weights"
fails "no such model" "$hadal" pretrain recipe.toml --run never --init-from nowhere
[ ! -e never ] || die "a folder was made for a recipe that cannot work"
echo "ok: a folder in which nothing was trained is used again, and none is made in vain"

# --resume: the run's own recipe.
rc=0
HADAL_FAULT=write:1:step-00000006.tmp "$hadal" pretrain recipe.toml --run half >log 2>&1 || rc=$?
[ "$rc" = 137 ] || die "half: ended with $rc, not killed"
cp -r half bare
rm bare/recipe.toml
for run in half bare; do
  fails "another rate" "$hadal" pretrain --resume $run --set lr.peak=1
  [[ $said == "$run: this run was started with another recipe (lr.peak: 0.004 -> 1.0)"* ]] || die "another rate: $said"
  "$hadal" pretrain --resume $run --set checkpoint.keep=1 >log 2>&1 || die "$run: it does not go on"
  diff -r -x state.json other/checkpoints/step-00000006 $run/checkpoints/step-00000006 || die "$run: other weights"
  [ "$(ls $run/checkpoints)" = step-00000006 ] || die "$run: --set checkpoint.keep changed nothing"
done
fails "no run" "$hadal" pretrain --resume nowhere
[[ $said == "nowhere: there is no such run folder" ]] || die "no run: $said"
# A finished run says so, and with what it would train on; that command works.
"$hadal" pretrain --resume half >log 2>&1 || die "a finished run fails"
longer=$(sed -n 's/^half: the run is finished; to train longer: hadal //p' log)
[ -n "$longer" ] || die "a finished run does not say so"
fails "longer" "$hadal" pretrain recipe.toml --run half --set train.tokens=768
[[ $said == "half: its schedules end after 384 tokens; to train longer: hadal ${longer}" ]] || die "longer: $said"
# shellcheck disable=SC2086 # words of a command
"$hadal" ${longer/NEW/longer} >log 2>&1 || die "the command to train longer fails"
[ "$(wc -l <longer/metrics.jsonl)" = 6 ] || die "the longer run has other steps"
# The weights from which a run began may go once it has a checkpoint.
cp -r other/checkpoints/step-00000006 start
rc=0
HADAL_FAULT=write:1:step-00000006.tmp "$hadal" pretrain recipe.toml --run begun --init-from start >log 2>&1 || rc=$?
[ "$rc" = 137 ] || die "begun: ended with $rc, not killed"
rm -r start
"$hadal" pretrain --resume begun >log 2>&1 || die "begun: it needs the weights from which it began"
[ -d begun/checkpoints/step-00000006 ] || die "begun: not at its end"
echo "ok: a run is resumed without its recipe, and a finished one says how to train longer"

# A checkpoint that goes while it is converted: nothing has the target's name, whatever was read by then.
cp -r other/checkpoints/step-00000006 pruned
HADAL_FAULT=write:-1:converted.tmp "$hadal" convert pruned converted >log 2>&1 &
pid=$!
until grep -q "^State:.*stopped" "/proc/$pid/status"; do sleep 0.02; done
mv pruned gone2
kill -CONT "$pid"
ends 1 "convert"
[[ $said == "pruned: was removed or changed while it was read"* ]] || die "convert: $said"
[ -z "$(find . -maxdepth 1 -name converted)" ] || die "convert: something has the final name"
HADAL_FAULT=write:3:converted.tmp "$hadal" convert other/checkpoints/step-00000006 converted >log 2>&1 && die "convert was not killed"
[ ! -e converted ] || die "convert: an unfinished folder has the final name"
"$hadal" convert other converted >log 2>&1 || die "convert: does not work after a kill"
[ -f converted/tokenizer.json ] && [ "$(echo converted*)" = converted ] || die "convert: $(echo converted*)"
echo "ok: what is converted has its name when it is whole"

# SIGHUP (twice: terminal and shell) saves; the reader of the output goes away, and the run goes on to its end.
start hangup
until_step hangup 3
kill -HUP "$pid"
kill -HUP "$pid" 2>/dev/null || echo "it had ended before the second signal"
ends 130 "hangup"
[ "$(tail -n 1 log)" = "stopped; the same command goes on from here" ] || die "hangup: it does not say how to go on"
[ -d "hangup/checkpoints/$(printf 'step-%08d' "$(wc -l <hangup/metrics.jsonl)")" ] || die "hangup: nothing was saved"
mkfifo unread.pipe
"$hadal" pretrain recipe.toml --run unread >unread.pipe 2>&1 &
pid=$!
exec 3<unread.pipe
exec 3<&-
ends 1 "unread" # its last lines found no reader
diff -r -x state.json other/checkpoints unread/checkpoints || die "unread: the run did not come to its end"
[ -f unread/report.html ] || die "unread: no report"
rc=0
"$hadal" pretrain recipe.toml --run closed >&- 2>&- || rc=$?
[ "$rc" = 1 ] || die "closed: ended with $rc, not 1"
diff -r -x state.json other/checkpoints closed/checkpoints || die "closed: the run did not come to its end"
echo "ok: neither a lost terminal nor a closed output costs a run"
