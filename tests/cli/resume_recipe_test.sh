#!/usr/bin/env bash
# The same as resume_test.sh with all of the recipe: batch ramp, moving average, spike guard, fill-in-the-middle, splitting
# of joined tokens, two sources with weights and epochs, moments in bf16. Then a changed recipe, which must not go on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/storm.sh"

make_tokens text:9000:3 other:1500:5 heldout:4000:4
cat >recipe.toml <<E
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["text", "other"]
weights = [0.4, 0.6]
epochs = [0, 1.3]
heldout = "heldout"
sequence_length = 32
fim_rate = 0.5
split_rate = 0.5
[train]
tokens = $((105 * 4 * 32))
rows = 6
rows_start = 2
ramp_share = 0.5
rows_multiple = 2
micro_rows = 2
threads = 2
[optimizer]
moments = "bf16"
ema = 0.9
[guard]
z = 1.6
window = 8
most_in_row = 0
[validation]
every = 10
rows = 2
[checkpoint]
every = $every
keep = 2
E
calm_run

# All of it took part, or the comparison would not see it.
python3 - "calm/checkpoints/$last" <<'P'
import glob, json, struct, sys
def header(path):
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
steps = [json.loads(line) for line in open("calm/metrics.jsonl")]
rows = [s["batch_size"] for s in steps]
assert sorted(rows[:-1]) == rows[:-1] and set(rows) == {2, 4, 6}, rows
skipped = sum("skipped" in s for s in steps)
assert 3 <= skipped < len(steps) / 2, skipped
last = sys.argv[1]
state = json.load(open(last + "/trainer/state.json"))
assert state["updates"] == len(steps) - skipped, state["updates"]
assert all(t["dtype"] == "BF16" for n, t in header(last + "/trainer/moments.safetensors").items() if n != "__metadata__")
ema = open(last + "/trainer/ema.safetensors", "rb").read()
assert ema[len(ema) // 2:] != open(last + "/model.safetensors", "rb").read()[-(len(ema) - len(ema) // 2):]
text, other = json.loads(state["loader"])["sources"]
assert text["epoch"] >= 1 and other["epoch"] == 1, state["loader"]
print(f"{len(steps)} steps, {skipped} skipped, sources at {text} and {other}")
# Spans that wait for their row at a kill: the position has to have them.
assert any(json.loads(json.load(open(f))["loader"])["sources"][0]["waiting"] for f in glob.glob("calm/checkpoints/*/trainer/state.json"))
P

storm 20261126

# On the way a changed recipe refuses, says what differs, and touches nothing; what touches no bit may change.
before=$(find stormy -type f -exec sha256sum {} + | sort)
for change in train.rows_start=4 train.ramp_share=0.25 optimizer.ema=0.95 'optimizer.moments="f32"' guard.z=2.5 guard.window=16 \
  data.fim_rate=0.25 data.split_rate=0 'data.weights=[0.5, 0.5]' 'data.epochs=[0, 2]' 'data.train=["other", "text"]'; do
  key=${change%%=*} rc=0
  "$hadal" pretrain recipe.toml --run stormy --set "$change" >leg.log 2>&1 || rc=$?
  [ "$rc" = 1 ] || die "with $change: exit status $rc"
  said=$(grep '^hadal: error: ' leg.log)
  [[ $said == "hadal: error: stormy: this run was started with another recipe ("*"$key: "*" -> "* ]] || die "with $change: $said"
done
"$hadal" pretrain recipe.toml --run stormy --set data.fim_rate=0 --set guard.z=0 >leg.log 2>&1 && die "two changes did not refuse"
said=$(grep '^hadal: error: ' leg.log)
[[ $said == *"data.fim_rate: 0.5 -> 0"*"guard.z: 1.6 -> 0"* ]] || die "of two changes it says: $said"
[ "$before" = "$(find stormy -type f -exec sha256sum {} + | sort)" ] || die "a run that refused has changed the folder"
last_leg --set guard.most_in_row=50
compare_runs
