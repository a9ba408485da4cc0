#!/usr/bin/env bash
# Twenty-one SIGKILLs in one run, on one thread and two by turns: the final weights, moments and metrics equal those of an
# undisturbed run to the bit, and no half-written checkpoint is ever picked up. Between two kills there is a new checkpoint.
# Kills follow the run's progress, not the clock: some at a random moment after a new checkpoint is seen, some at fault
# points (HADAL_FAULT, src/base/file.h) inside the save after it, at a random file.
set -euo pipefail
hadal=${HADAL:?path of the program}
work=$(mktemp -d)
pid=
finish() {
  if [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; then echo "killed the run still going on"; fi
  rm -rf "$work"
}
trap finish EXIT
cd "$work"
die() {
  echo "NO: $*"
  if [ -f leg.log ]; then tail -n 3 leg.log; fi
  exit 1
}

every=2 steps=110 legs=21
kinds=(write random fsync random rename remove random)
for spec in text:60000:3 heldout:4000:4; do
  IFS=: read -r name bytes seed <<<"$spec"
  "$hadal" data generate --seed "$seed" --bytes "$bytes" --out "$name.jsonl" >/dev/null
  [ -d tok ] || "$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >/dev/null 2>&1
  "$hadal" data prepare --tokenizer tok --input "$name.jsonl" --out "$name" >/dev/null 2>&1
done
cat >recipe.toml <<E
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["text"]
heldout = "heldout"
sequence_length = 32
[train]
tokens = $((steps * 4 * 32))
rows = 4
micro_rows = 2
threads = 2
[validation]
every = 10
rows = 2
[checkpoint]
every = $every
keep = 2
E

"$hadal" pretrain recipe.toml --run calm >leg.log 2>&1 || die "the undisturbed run failed"
# Microseconds of the steps from checkpoint to checkpoint.
interval=$(sed -E 's/.*"seconds":([^,}]*).*/\1/' calm/metrics.jsonl | awk -v every="$every" '{ s += $1 } END { printf "%d", 1e6 * s / NR * every + 1 }')
last=$(printf 'step-%08d' "$steps")
mapfile -t files < <(cd "calm/checkpoints/$last" && find . -type f -printf '%P\n' | sort)

mkfifo silence
exec 9<>silence
pause() { if read -r -t "$1" -u 9; then die "the silence spoke"; fi; } # sleeps without a new process

# The step of the newest whole checkpoint, 0 if there is none.
newest() {
  local all=(stormy/checkpoints/step-????????)
  step=${all[-1]##*-}
  if [ "$step" = '????????' ]; then step=0; fi
  step=$((10#$step))
}

# Fault N is armed for the save of step TARGET: sets `fault` to kill at a random file (or at the renaming of the folder).
arm() {
  local kind=$1 target=$2 file=${files[RANDOM % ${#files[@]}]} nth=1
  case $kind in
    write) case $file in *.safetensors) nth=$((1 + RANDOM % 4)) ;; esac ;; # a safetensors file is written piece by piece
    rename) if [ $((RANDOM % 3)) = 0 ]; then file='' nth=$((${#files[@]} + 1)); fi ;;
  esac
  fault="$kind:$nth:$(printf 'step-%08d' "$target")${file:+.tmp/$file}"
}

# leg THREADS: runs until it is killed or ends; the exit status goes to `rc`. If `moment` is set, it is killed that many
# microseconds after a new checkpoint has been seen.
leg() {
  local before=$step
  HADAL_FAULT=$fault "$hadal" pretrain recipe.toml --run stormy --set "train.threads=$1" >leg.log 2>&1 9>&- &
  pid=$!
  if [ -n "$moment" ]; then
    while [ "$step" -le "$before" ] && kill -0 "$pid" 2>/dev/null; do
      pause 0.002
      newest
    done
    pause "$(printf '%d.%06d' $((moment / 1000000)) $((moment % 1000000)))"
    kill -9 "$pid" 2>/dev/null || echo "it was dead already"
  fi
  rc=0
  wait "$pid" 2>/dev/null || rc=$?
  pid=
}

# Killed before it has any checkpoint: it starts anew.
RANDOM=20261124 step=0 moment=''
for fault in write:1:recipe.toml rename:1:before.json fsync:1:metrics.jsonl; do
  leg 2
  [ "$rc" = 137 ] || die "$fault: ended with $rc, not killed"
done

declare -A count=([random]=0 [write]=0 [fsync]=0 [rename]=0 [remove]=0)
trail=''
for ((i = 0; i < legs; i++)); do
  kind=${kinds[i % ${#kinds[@]}]} before=$step moment=''
  case $kind in
    random)
      # Should this shell sleep too long, the leg ends inside a later save.
      kind=write
      arm write $((before + 4 * every))
      moment=$((RANDOM * interval / 32768))
      ;;
    remove) fault="remove:$((1 + RANDOM % 2))" ;; # before or after an old checkpoint loses its name
    *) arm "$kind" $((before + 2 * every)) ;;
  esac
  leg $((1 + i % 2))
  [ "$rc" = 137 ] || die "leg $i ($kind $fault) ended with $rc, not killed"
  if [ "$before" != 0 ]; then
    grep -q "going on from stormy/checkpoints/$(printf 'step-%08d' "$before") " leg.log || die "leg $i did not go on from step $before"
  fi
  newest
  [ "$step" -gt "$before" ] || die "leg $i has no new checkpoint after step $before"
  unfinished="stormy/checkpoints/$(printf 'step-%08d' $((step + every))).tmp"
  if [ -n "$moment" ] && ! { [ "$step" = $((before + 3 * every)) ] && [ -d "$unfinished" ]; }; then kind=random; fi
  case $kind in
    write | fsync | rename) [ -d "$unfinished" ] || die "leg $i ($fault) was not killed inside a save" ;;
  esac
  for folder in stormy/checkpoints/step-????????; do
    [ "$(cd "$folder" && find . -type f -printf '%P\n' | sort)" = "$(printf '%s\n' "${files[@]}")" ] || die "$folder is not whole"
  done
  count[$kind]=$((count[$kind] + 1))
  trail+=" $step"
done
fault='' moment=''
leg 1
[ "$rc" = 0 ] || die "the last leg ended with $rc"

inside=$((count[write] + count[fsync] + count[rename]))
echo "$legs kills, $inside inside a save (write ${count[write]}, fsync ${count[fsync]}, rename ${count[rename]}), ${count[remove]} while old checkpoints went, ${count[random]} at random moments"
echo "newest checkpoint at each kill:$trail"
for kind in write fsync rename remove; do [ "${count[$kind]}" -ge 2 ] || die "only ${count[$kind]} kills at $kind"; done

[ -z "$(find stormy -name '*.tmp*')" ] || die "temporaries are left: $(find stormy -name '*.tmp*')"
diff <(ls calm/checkpoints) <(ls stormy/checkpoints) || die "other checkpoints are left"
diff -r -x state.json "calm/checkpoints/$last" "stormy/checkpoints/$last" || die "the final checkpoints differ"
state() { grep -vE '^ "(seconds|recipe)":' "$1/checkpoints/$last/trainer/state.json"; } # the recipe names the threads
[ "$(state calm | grep -cE '"(step|tokens|loader|best_step|model.safetensors|trainer/moments.safetensors)":')" = 6 ] || die "state.json lacks a key"
diff <(state calm) <(state stormy) || die "the final trainer states differ"
metrics() { sed -E 's/"(seconds|tokens_per_second|share_of_peak|memory_gib)":[^,}]*//g' "$1/metrics.jsonl"; }
[ "$(metrics calm | wc -l)" = "$steps" ] || die "metrics.jsonl has other lines than steps"
diff <(metrics calm) <(metrics stormy) || die "metrics.jsonl differs"
echo "the same bits as without"
