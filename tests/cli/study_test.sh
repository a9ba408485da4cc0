#!/usr/bin/env bash
# hadal study: the variants differ in what they should and in nothing else, gamma = 0 freezes the bias, nothing is trained
# twice, an interrupted study goes on to the same figures.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
bad=0
check() { if eval "$2"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }

"$hadal" data generate --seed 1 --bytes 60000 --out text.jsonl >/dev/null
"$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >/dev/null 2>&1
"$hadal" data generate --seed 2 --bytes 9000 --out prose.jsonl >/dev/null
"$hadal" data generate --kind json --seed 3 --bytes 9000 --out json.jsonl >/dev/null
for name in text prose json; do "$hadal" data prepare --tokenizer tok --input "$name.jsonl" --out "$name" >/dev/null 2>&1; done
cat >recipe.toml <<'R'
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["text"]
sequence_length = 32
[train]
tokens = 99999
rows = 4
threads = 2
[balance]
gamma = 0.01
alpha = 0.01
[checkpoint]
every = 3
R
kinds=(--heldout prose=prose --heldout json=json)
balance() { "$hadal" study balance recipe.toml --quick --source "made up" "${kinds[@]}" "$@"; }

balance --out b >table.txt 2>log.txt || { cat log.txt; exit 1; }
cat >look.py <<'P'
import json, sys
study = json.load(open(sys.argv[1] + "/study.json"))
runs = {r["name"]: r for r in study["runs"]}
bad = 0
def check(what, good):
    global bad
    print(("ok: " if good else "NO: ") + what)
    bad |= not good
if study["study"] == "balance":
    check("six runs", list(runs) == ["seed1-bias", "seed1-aux", "seed1-neither", "seed1-gamma-0.001", "seed1-alpha-0.001", "seed1-frozen"])
    bias, aux, neither, frozen = (runs["seed1-" + v] for v in ("bias", "aux", "neither", "frozen"))
    check("gamma and alpha", [(r["gamma"], r["alpha"]) for r in (bias, aux, neither)] == [(0.01, 0), (0, 0.01), (0, 0)])
    check("the same weights and data to begin with", len({r["first_loss"] for r in (bias, aux, neither)}) == 1)
    check("the same data to the end", len({r["data_end"] for r in (bias, aux, neither)}) == 1)
    check("another course", len({r["loss"] for r in (bias, aux, neither)}) == 3)
    check("the bias moves", bias["bias_max"] > 0.05 and bias["bias_change"] == bias["bias_max"])
    check("with gamma = 0 it stays at zero", aux["bias_max"] == 0 and neither["bias_max"] == 0)
    check("with gamma = 0 a bias that is not zero stays as it is", frozen["bias_max"] == bias["bias_max"] and frozen["bias_change"] == 0)
    check("the frozen run starts from the biased weights", frozen["first_loss"] < bias["first_loss"] - 0.3)
    for r in runs.values():
        loads = [sum(k["loads"][l][e] for k in r["kinds"]) for l in range(2) for e in range(8)]
        worst = [max(loads[8 * l:8 * l + 8]) / (sum(loads[8 * l:8 * l + 8]) / 8) - 1 for l in range(2)]
        check("MaxVio of " + r["name"], all(abs(a - b) < 1e-9 for a, b in zip(worst, r["max_violation"])) and abs(r["max_violation_mean"] - sum(worst) / 2) < 1e-9)
        check("kinds of " + r["name"], [k["name"] for k in r["kinds"]] == ["prose", "json"] and r["heldout_tokens"] == 256)
    v = study["verdicts"][0]
    check("verdict", v["ratio"] == v["max_violation_neither"] / v["max_violation_bias"] and abs(v["loss_change"] - (bias["loss"] / neither["loss"] - 1)) < 1e-12)
    check("it holds or not", study["holds"] == v["holds"] == (v["max_violation_bias"] <= 0.5 and v["ratio"] >= 3 and abs(v["loss_change"]) <= 0.005))
else:
    mtp, plain, more = (runs["seed1-" + v] for v in ("mtp", "plain", "plain-more"))
    check("the same trunk and data to begin with", mtp["first_loss"] == plain["first_loss"] == more["first_loss"])
    check("the same data", mtp["data_end"] == plain["data_end"] != more["data_end"])
    check("the same compute", 1 <= more["flops"] / mtp["flops"] < 1 + 4 * 32 / mtp["tokens"] and mtp["flops"] > 1.2 * plain["flops"])
    v = study["verdicts"][0]
    check("two depths", len(v["acceptance"]) == 2 and all(0 < a <= 1 for a in v["acceptance"]) and v["chain_acceptance"][1] <= min(v["acceptance"]))
    check("loss by position", [p[:2] for p in mtp["loss_by_position"]] == [[1, 1], [2, 2], [3, 4], [5, 8], [9, 16], [17, 32]])
    gain = study["gain_by_position"]
    check("gain by position", all(abs(g["same_data"] - (a[2] - b[2])) < 1e-9 for g, a, b in zip(gain, mtp["loss_by_position"], plain["loss_by_position"])) and len(gain) == 6)
check("marked as quick", "QUICK" in study["source"] and "made up" in study["source"])
sys.exit(bad)
P
python3 look.py b || bad=1
check "the table has every run" '[ "$(grep -cE "^seed1-" table.txt)" = 6 ]'
for what in "MaxVio of each step" "against gamma" "against alpha" "bias, MoE layer 2" "neither, MoE layer 1" "recipe of seed1-bias" "QUICK"; do
  check "the page has: $what" 'grep -qF "$what" b/report.html'
done
check "the page stands alone" '! grep -qE "(src|href)=.?(https?:|//)" b/report.html'

find b -name 'step-*' -prune -o -type f -name metrics.jsonl -exec stat -c '%n %Y %i' {} + | sort >before.txt
balance --out b >again.txt 2>&1
find b -name 'step-*' -prune -o -type f -name metrics.jsonl -exec stat -c '%n %Y %i' {} + | sort >after.txt
check "its bar is at the end" 'grep -q "^study 100%" again.txt'
check "a finished study trains nothing again" 'cmp -s before.txt after.txt && [ -s before.txt ]'
check "and says the same" 'grep "^seed1-" again.txt | cmp -s - <(grep "^seed1-" table.txt)'

# Killed inside the save of the second run's step 6, then at the measurements of the third: the figures are the same.
rc=0
HADAL_FAULT=write:1:seed1-aux/checkpoints/step-00000006 balance --out c >/dev/null 2>&1 || rc=$?
check "it was killed" '[ "$rc" = 137 ] && [ -d c/seed1-aux/checkpoints/step-00000003 ] && [ ! -e c/seed1-neither ]'
rc=0
HADAL_FAULT=rename:1:seed1-neither/measured.json balance --out c >/dev/null 2>log.txt || rc=$?
check "it goes on inside of a run" 'grep -q "going on from c/seed1-aux/checkpoints/step-00000003" log.txt'
check "it was killed again" '[ "$rc" = 137 ] && [ ! -e c/seed1-neither/measured.json ]'
balance --out c >/dev/null 2>&- || check "a closed standard error costs nothing" false
balance --out b --json >figures.json 2>/dev/null
check "--json prints the figures in a line" '[ "$(wc -l <figures.json)" = 1 ] && python3 -c "import json; j, f = json.load(open(\"figures.json\")), json.load(open(\"b/study.json\")); assert j.pop(\"report\") == \"b/report.html\" and j.pop(\"figures\") == \"b/study.json\" and j == f"'
figures() { sed -E '/"seconds"/d' "$1/study.json"; }
check "an interrupted study ends with the same figures" 'cmp -s <(figures b) <(figures c)'

"$hadal" study mtp recipe.toml --quick --source "made up" --out m "${kinds[@]}" >table.txt 2>log.txt || { cat log.txt; exit 1; }
python3 look.py m || bad=1
check "the page of the MTP study" 'grep -qF "Where in the row" m/report.html && grep -qF "Accepted by depth" m/report.html'

# wrong WHAT PATTERN OPTIONS...: one line on stderr that has PATTERN.
wrong() {
  local what=$1 pattern=$2 rc=0
  shift 2
  "$hadal" study "$@" >/dev/null 2>err.txt || rc=$?
  check "$what" '[ "$rc" != 0 ] && [ "$rc" -lt 128 ] && [ "$(grep -vc "^note: \|^study \|^[0-9]* runs, " err.txt)" = 1 ] && grep "^hadal: error: " err.txt | grep -qF -- "$pattern"'
}
wrong "no study" "balance, mtp"
wrong "unknown study" "unknown" unknown
wrong "no kind" "--heldout" balance recipe.toml --out e
wrong "kind without a folder" "--heldout prose: must be NAME=FOLDER" balance recipe.toml --out e --heldout prose
wrong "kind twice" "'prose' is given twice" balance recipe.toml --out e --heldout prose=prose --heldout prose=json
wrong "kind that is not there" "nothing" balance recipe.toml --out e --heldout prose=nothing
wrong "seed twice" "--seeds: one is given twice" balance recipe.toml --out e "${kinds[@]}" --seeds 1,1
wrong "seed below zero" "--seeds" balance recipe.toml --out e "${kinds[@]}" --seeds=-1
wrong "gamma that is no number" "--gammas" balance recipe.toml --out e "${kinds[@]}" --gammas fast
wrong "no bias to study" "balance.gamma = 0" balance recipe.toml --out e "${kinds[@]}" --set balance.gamma=0
wrong "no module" "--modules" mtp recipe.toml --out e "${kinds[@]}" --modules 0
wrong "no tokens" "'train.tokens' = 0: must be from 1" balance recipe.toml --out e "${kinds[@]}" --set train.tokens=0
wrong "another recipe in the same folder" "balance.gamma_until: 0.97 -> 0.5" balance recipe.toml --quick --out b "${kinds[@]}" --set balance.gamma_until=0.5
"$hadal" tokenizer train --vocab-size 300 --out tok2 json.jsonl >/dev/null 2>&1
"$hadal" data prepare --tokenizer tok2 --input json.jsonl --out other >/dev/null 2>&1
wrong "kind of another tokenizer" "other: the token shards were made with another tokenizer" balance recipe.toml --out e --heldout json=other
exit $bad
