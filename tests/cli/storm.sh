# A run under many SIGKILLs beside an undisturbed one: what resume_test.sh and resume_recipe_test.sh share, to be sourced.
# Kills follow the run's progress, not the clock: some at a random moment after a new checkpoint is seen, some at fault
# points (HADAL_FAULT, src/base/file.h) inside the save after it, at a random file.
#   make_tokens; a recipe.toml with checkpoint.every = $every, then: calm_run; storm SEED; last_leg; compare_runs
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
die() {
  echo "NO: $*"
  if [ -f leg.log ]; then tail -n 3 leg.log; fi
  exit 1
}

every=2 legs=21
kinds=(write random fsync random rename remove random)
mkfifo silence
exec 9<>silence
pause() { if read -r -t "$1" -u 9; then die "the silence spoke"; fi; } # sleeps without a new process

# make_tokens NAME:BYTES:SEED...: generated texts as token shards; the tokenizer is that of the first.
make_tokens() {
  local spec name bytes seed
  for spec; do
    IFS=: read -r name bytes seed <<<"$spec"
    "$hadal" data generate --seed "$seed" --bytes "$bytes" --out "$name.jsonl" >/dev/null
    [ -d tok ] || "$hadal" tokenizer train --vocab-size 400 --out tok "$name.jsonl" >/dev/null 2>&1
    "$hadal" data prepare --tokenizer tok --input "$name.jsonl" --out "$name" >/dev/null 2>&1
  done
}

# The undisturbed run: sets `steps`, `last` (name of its last checkpoint), `files` (of that) and `interval`, the
# microseconds of the steps from checkpoint to checkpoint.
calm_run() {
  "$hadal" pretrain recipe.toml --run calm >leg.log 2>&1 || die "the undisturbed run failed"
  interval=$(sed -E 's/.*"seconds":([^,}]*).*/\1/' calm/metrics.jsonl | awk -v every="$every" '{ s += $1 } END { printf "%d", 1e6 * s / NR * every + 1 }')
  steps=$(wc -l <calm/metrics.jsonl)
  last=$(printf 'step-%08d' "$steps")
  [ -d "calm/checkpoints/$last" ] || die "the undisturbed run has no checkpoint of its last step $steps"
  mapfile -t files < <(cd "calm/checkpoints/$last" && find . -type f -printf '%P\n' | sort)
}

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

# leg THREADS [OPTION...]: runs until it is killed or ends; the exit status goes to `rc`. If `moment` is set, it is killed that many
# microseconds after a new checkpoint has been seen.
leg() {
  local before=$step
  HADAL_FAULT=$fault "$hadal" pretrain recipe.toml --run stormy --set "train.threads=$1" "${@:2}" >leg.log 2>&1 9>&- &
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

# storm SEED: three kills before there is any checkpoint, then `legs` of them, on one thread and two by turns, with a new
# checkpoint between each two. Every checkpoint that has its name is whole.
storm() {
  local i kind before unfinished folder inside trail=''
  local -A count=([random]=0 [write]=0 [fsync]=0 [rename]=0 [remove]=0)
  RANDOM=$1 step=0 moment=''
  for fault in write:1:recipe.toml rename:1:before.json fsync:1:metrics.jsonl; do
    leg 2
    [ "$rc" = 137 ] || die "$fault: ended with $rc, not killed"
  done
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
  inside=$((count[write] + count[fsync] + count[rename]))
  echo "$legs kills, $inside inside a save (write ${count[write]}, fsync ${count[fsync]}, rename ${count[rename]}), ${count[remove]} while old checkpoints went, ${count[random]} at random moments"
  echo "newest checkpoint at each kill:$trail"
  for kind in write fsync rename remove; do [ "${count[$kind]}" -ge 2 ] || die "only ${count[$kind]} kills at $kind"; done
}

# last_leg [OPTION...]: lets the run come to its end.
last_leg() {
  fault='' moment=''
  leg 1 "$@"
  [ "$rc" = 0 ] || die "the last leg ended with $rc"
}

# What is the same without regard to time and threads.
state() { grep -vE '^ "(seconds|recipe|checksum)":' "$1/checkpoints/$last/trainer/state.json"; } # the recipe names the threads
metrics() { sed -E 's/"(seconds|tokens_per_second|share_of_peak|memory_gib)":[^,}]*//g' "$1/metrics.jsonl"; }

# The final checkpoints, all that is beside the weights in them, and the metrics are the same to the bit.
compare_runs() {
  local left key content
  left=$(find stormy -name '*.tmp*')
  [ -z "$left" ] || die "temporaries are left: $left"
  diff <(ls calm/checkpoints) <(ls stormy/checkpoints) || die "other checkpoints are left"
  diff -r -x state.json "calm/checkpoints/$last" "stormy/checkpoints/$last" || die "the final checkpoints differ"
  content=$(state calm)
  for key in step tokens updates loader guard best_step model.safetensors trainer/moments.safetensors; do
    [[ $content == *"\"$key\":"* ]] || die "state.json lacks the key $key"
  done
  diff <(state calm) <(state stormy) || die "the final trainer states differ"
  [ "$(metrics stormy | wc -l)" = "$steps" ] || die "metrics.jsonl has other lines than steps"
  diff <(metrics calm) <(metrics stormy) || die "metrics.jsonl differs"
  echo "the same bits as without"
}
