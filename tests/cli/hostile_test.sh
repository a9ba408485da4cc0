#!/usr/bin/env bash
# A run meets a full disk, a folder it may not write to, data that go away, a second process, a clock that was set back and
# numbers that are none. Each gives one clear line, no checkpoint is lost, and the run goes on or stops whole: afterwards
# it comes to the same bits as a run that met nothing. What is waited for is the run's progress, never a time.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
unmount() { if mountpoint -q disk; then umount disk; fi; }
die() {
  echo "NO: $*"
  if [ -f log ]; then tail -n 4 log; fi
  exit 1
}

small_text
"$hadal" data generate --seed 4 --bytes 60000 --out other.jsonl >/dev/null
"$hadal" data prepare --tokenizer tok --input other.jsonl --out other >/dev/null 2>&1
cat >recipe.toml <<E
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["shards"]
sequence_length = 32
[train]
tokens = $((12 * 2 * 32))
rows = 2
threads = 2
[checkpoint]
every = 2
keep = 2
E
train() { "$hadal" pretrain recipe.toml --run "$@"; }

# half RUN: a run that has a checkpoint of step 6 of 12. Step 7 and all after it are lost to a kill inside a save.
half() {
  local rc=0
  HADAL_FAULT=write:1:step-00000008.tmp train "$1" >log 2>&1 || rc=$?
  [ "$rc" = 137 ] || die "$1: ended with $rc, not killed"
  [ "$(names "$1")" = "step-00000004 step-00000006 step-00000008.tmp" ] || die "$1: the folder holds $(names "$1")"
}
names() { (cd "$1/checkpoints" && echo *); }

# fails WHAT COMMAND...: it must end with status 1 and one line of error, which goes to `said`.
fails() {
  local what=$1 rc=0
  shift
  "$@" >log 2>&1 || rc=$?
  [ "$rc" = 1 ] || die "$what: exit status $rc"
  [ "$(grep -c '^hadal: error: ' log)" = 1 ] || die "$what: not one line of error"
  said=$(grep '^hadal: error: ' log)
  said=${said#hadal: error: }
}

# whole RUN: once nothing is in its way, the run ends with the bits of the one that met nothing.
metrics() { sed -E 's/"(seconds|tokens_per_second|share_of_peak|memory_gib)":[^,}]*//g' "$1/metrics.jsonl"; }
whole() {
  train "$1" >log 2>&1 || die "$1: does not go on"
  diff -r -x state.json "calm/checkpoints/step-00000012" "$1/checkpoints/step-00000012" || die "$1: other weights"
  diff <(metrics calm) <(metrics "$1") || die "$1: other metrics"
  [ -z "$(find "$1" -name '*.tmp*')" ] || die "$1: temporaries are left"
  echo "ok: $1: $2"
}

# until_step RUN N: waits for that line of the metrics of a run in the background.
until_step() {
  while [ ! -f "$1/metrics.jsonl" ] || [ "$(wc -l <"$1/metrics.jsonl")" -lt "$2" ]; do
    kill -0 "$pid" 2>/dev/null || die "$1: the run ended before step $2"
    sleep 0.01
  done
}

train calm >log 2>&1 || die "the calm run failed"
weights=$(stat -c %s calm/checkpoints/step-00000012/model.safetensors)
moments=$(stat -c %s calm/checkpoints/step-00000012/trainer/moments.safetensors)
[ "$moments" -gt "$weights" ] || die "moments are no larger than weights"

# A disk that has no room for the moments, nor for the weights, nor for a line of metrics (ulimit counts KiB).
half full
for kib in $(((weights + moments) / 2048)) $((weights / 2048)) 1; do
  fails "full disk" bash -c "ulimit -f $kib && exec '$hadal' pretrain recipe.toml --run full"
  if [ "$kib" = 1 ]; then
    [[ $said == "cannot write full/"*": File too large" ]] || die "full disk: $said"
  else
    file=$([ "$kib" -gt $((weights / 1024)) ] && echo trainer/moments || echo model)
    [[ $said == "cannot write full/checkpoints/step-00000012.tmp/$file.safetensors: File too large" ]] || die "full disk: $said"
    for step in 08 10; do
      [ "$(grep -c "^no checkpoint of step ${step#0}: cannot write full/.*File too large; the run goes on" log)" = 1 ] || die "full disk: nothing is said of step $step"
    done
  fi
  [ "$(names full)" = "step-00000004 step-00000006" ] || die "full disk: the folder holds $(names full)"
done
whole full "the limit on files stands for a full disk"

# Metrics that cannot be written, though a checkpoint could: the steps before a checkpoint are in the file before it counts.
half lines
room=$(((moments + 65536) / 1024))
python3 - lines/metrics.jsonl $((room * 1024 - 100)) <<'P'
import sys
path, size = sys.argv[1], int(sys.argv[2])
lines = open(path).read().splitlines(keepends=True)[:6]
assert len(lines) == 6 and lines[0].endswith("}\n")
lines[0] = lines[0][:-2] + " " * (size - sum(map(len, lines))) + "}\n"
open(path, "w").write("".join(lines))
P
fails "metrics on a full disk" bash -c "ulimit -f $room && exec '$hadal' pretrain recipe.toml --run lines"
[[ $said == "cannot write lines/metrics.jsonl: File too large" ]] || die "metrics on a full disk: $said"
for line in "lines/metrics.jsonl: File too large: kept in memory, written when it can be" \
  "no checkpoint of step 8: cannot write lines/metrics.jsonl: File too large; the run goes on"; do
  [ "$(grep -c "$line" log)" = 1 ] || die "metrics on a full disk: it does not say once: $line"
done
[ "$(names lines)" = "step-00000004 step-00000006" ] || die "metrics on a full disk: the folder holds $(names lines)"
[ "$(wc -l <lines/metrics.jsonl)" = 6 ] || die "metrics on a full disk: half a line, or lost ones"
sed -i -E 's/ +}$/}/' lines/metrics.jsonl
whole lines "a checkpoint waits for its metrics"

rc=0
HADAL_FAULT=fsync:2:metrics.jsonl train synced >log 2>&1 || rc=$? # the first time is when the file is made
[ "$rc" = 137 ] && [ "$(names synced)" = '*' ] && [ "$(wc -l <synced/metrics.jsonl)" = 2 ] || die "metrics are not on the disk before the first checkpoint"
whole synced "metrics are on the disk before the checkpoint is begun"

# A real disk, where one can be made: full for a while, then not.
mkdir disk
if mount -t tmpfs -o size=$((4 * (weights + moments) / 1024))k tmpfs disk 2>/dev/null; then
  half disk/run
  if dd if=/dev/zero of=disk/filler bs=64k >dd.log 2>&1; then die "the disk has room without end"; fi
  fails "no space" train disk/run
  [[ $said == "cannot "*"disk/run/"*": No space left on device" ]] || die "no space: $said"
  [ "$(names disk/run)" = "step-00000004 step-00000006" ] || die "no space: the folder holds $(names disk/run)"
  rm disk/filler
  whole disk/run "no space left on the device"
  umount disk
else
  echo "left out: no disk can be made here; the limit on files above stands for it"
fi

# Folders that this user may not write to. Root may write everywhere and becomes somebody else.
as=()
if [ "$(id -u)" = 0 ]; then
  cp "$hadal" program
  chmod 755 . program
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  hadal_was=$hadal hadal=$work/program
fi
half closed
mkdir -m 555 shelf
if [ ${#as[@]} != 0 ]; then chown -R 65534:65534 closed; fi
fails "a shelf nobody may write to" "${as[@]}" "$hadal" pretrain recipe.toml --run shelf/run
[[ $said == "cannot make the run folder shelf/run: Permission denied" ]] || die "a shelf nobody may write to: $said"
chmod 555 closed/checkpoints
fails "checkpoints nobody may write to" "${as[@]}" "$hadal" pretrain recipe.toml --run closed
[[ $said == *"closed/checkpoints"*": Permission denied" ]] || die "checkpoints nobody may write to: $said"
chmod 555 closed
fails "a run nobody may write to" "${as[@]}" "$hadal" pretrain recipe.toml --run closed
[[ $said == *"closed"*": Permission denied" ]] || die "a run nobody may write to: $said"
[ "$(names closed)" = "step-00000004 step-00000006 step-00000008.tmp" ] || die "closed: the folder holds $(names closed)"
chmod 755 closed closed/checkpoints
"${as[@]}" "$hadal" report closed >log 2>&1 || die "closed: no report"
if [ ${#as[@]} != 0 ]; then hadal=$hadal_was; fi
whole closed "a folder that this user may not write to"

# A clock that was set back: all that is there seems to be of the day after tomorrow.
half clock
find clock tok shards recipe.toml -exec touch -d '+2 days' {} +
whole clock "a clock that was set back"
[[ $("$hadal" watch clock --once) == *finished* ]] || die "clock: the view does not know the end"
if grep -q '"seconds":-' clock/metrics.jsonl; then die "a step took less than no time"; fi

# Losses that are no numbers: a step alone is skipped, many of them end the run with a checkpoint.
half loss
HADAL_FAULT=loss:8-9 train loss >log 2>&1 || die "loss: two skipped steps ended the run"
[ "$(grep -c 'step [89] is skipped: loss nan' log)" = 2 ] || die "loss: not a line for each skipped step"
[ "$(grep -c '"skipped":"not finite"' loss/metrics.jsonl)" = 2 ] || die "loss: the metrics do not say what was skipped"
echo "ok: a loss that is no number costs its step alone"
half losses
fails "losses" env HADAL_FAULT=loss:8-99 "$hadal" pretrain recipe.toml --run losses --set guard.most_in_row=3
[[ $said == "3 steps in a row were skipped, the last is step 10: the run stops; losses/checkpoints/step-00000010 holds what came before"* ]] || die "losses: $said"
[ "$(names losses)" = "step-00000008 step-00000010" ] || die "losses: the folder holds $(names losses)"
train losses >log 2>&1 && [[ $(names losses) == *step-00000012 ]] || die "losses: it does not go on"
echo "ok: many of them end the run with a checkpoint"

# Weights that are no numbers.
cp -r calm/checkpoints/step-00000012 sick
python3 - sick/model.safetensors <<'P'
import json, struct, sys
with open(sys.argv[1], "r+b") as f:
    size = struct.unpack("<Q", f.read(8))[0]
    at = json.loads(f.read(size))["model.layers.1.self_attn.o_proj.weight"]["data_offsets"][0]
    f.seek(8 + size + at + 12)
    f.write(struct.pack("<f", float("nan")))
P
fails "weights that are no numbers" train weak --init-from sick
[[ $said == "model.init_from: sick: tensor 'model.layers.1.self_attn.o_proj.weight' holds NaN or infinity: no model to start from" ]] || die "weights that are no numbers: $said"
echo "ok: weights that are no numbers start no run"

# A run without an end, to which things happen; another one, to which nothing does, says what should have come.
sed -e 's/^tokens = .*/tokens = 1000000000/' -e 's/"shards"/"data"/' recipe.toml >endless.toml
printf '[lr]\nwarmup_share = 0\n' >>endless.toml
cp -r shards data
start() {
  "$hadal" pretrain endless.toml --run "$1" >endless.log 2>&1 &
  pid=$!
}
# ends STATUS WHAT: the run in the background must end so.
ends() {
  local rc=0
  wait "$pid" || rc=$?
  pid=
  cp endless.log log
  [ "$rc" = "$1" ] || die "$2: ended with $rc, not $1"
  said=$(sed -n 's/^hadal: error: //p' log)
}
count() { wc -l <"$1/metrics.jsonl"; }

start away
until_step away 2
fails "two at once" "$hadal" pretrain endless.toml --run away
[[ $said == "away: another process is working in this folder" ]] || die "two at once: $said"
until_step away $(($(count away) + 2))
rm -r data
until_step away $(($(count away) + 2))
kill -TERM "$pid"
ends 130 "data removed"
[ "$(tail -n 1 log)" = "stopped; the same command goes on from here" ] || die "data removed: it does not say how to go on"
fails "data gone" "$hadal" pretrain endless.toml --run away
[[ $said == "data.train: data: there is no such folder of token shards" ]] || die "data gone: $said"
echo "ok: two at once, and data removed while they are read"

cp -r shards data
start away
until_step away $(($(count away) + 2))
: >data/tokens-00000.bin
ends 1 "data cut"
[[ $said == "data/tokens-00000.bin: the file has been cut since it was opened: the run stops; step $(count away) is saved" ]] || die "data cut: $said"
cp shards/tokens-00000.bin data
start away
until_step away $(($(count away) + 2))
cp other/tokens-00000.bin data # as valid as the first one
ends 1 "data overwritten"
[[ $said == "data/tokens-00000.bin: the file has been written to since it was opened: the run stops; step $(count away) is saved" ]] || die "data overwritten: $said"
cp shards/tokens-00000.bin data
start away
until_step away $(($(count away) + 2))
kill -TERM "$pid"
ends 130 "data back"
start still
until_step still "$(count away)"
kill -TERM "$pid"
ends 130 "nothing happens"
diff <(metrics away) <(metrics still | head -n "$(count away)") || die "away: other metrics than without"
echo "ok: data that are cut or overwritten stop the run whole: after $(count away) steps the same bits as without"
