#!/usr/bin/env bash
# An own config: printed as a template, changed, trained. A checkpoint that transformers saved: continued, and loaded back. (tools/continue_check.py,
# a part of make oracle, does the second with transformers at both ends.)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
data=${HADAL_TEST_DATA:?folder of test data}
bad=0
check() { if eval "$2"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }

small_text 300
printf '[data]\ntokenizer = "tok"\ntrain = ["shards"]\nsequence_length = 32\n[train]\ntokens = 2560\nrows = 4\n' >recipe.toml

# A template, changed by hand, trained; the checkpoint has the changed sizes.
"$hadal" inspect tiny --config >config.json
check "the template is a config of all fields" 'python3 -c "
import json
c = json.load(open(\"config.json\"))
assert c[\"model_type\"] == \"deepseek_v3\" and c[\"hidden_size\"] > 0 and c[\"n_routed_experts\"] > 0, c
c[\"hidden_size\"] = 80
c[\"n_routed_experts\"] = c[\"n_routed_experts\"] * 2
json.dump(c, open(\"config.json\", \"w\"))"'
check "the changed config trains" '"$hadal" pretrain recipe.toml --run own --set model.config=config.json >out.txt 2>&1 || { tail -n 3 out.txt; false; }'
check "the checkpoint has its sizes" 'python3 -c "
import glob, json
a = json.load(open(\"config.json\"))
b = json.load(open(glob.glob(\"own/checkpoints/step-*/config.json\")[0]))
assert a[\"hidden_size\"] == b[\"hidden_size\"] == 80 and a[\"n_routed_experts\"] == b[\"n_routed_experts\"], b"'
check "sizes by keys give the same model" '"$hadal" pretrain recipe.toml --run keys --set model.preset=tiny --set model.hidden_size=80 --set "model.n_routed_experts=$(python3 -c "import json; print(json.load(open(\"config.json\"))[\"n_routed_experts\"])")" >/dev/null 2>&1 && cmp own/checkpoints/step-00000020/model.safetensors keys/checkpoints/step-00000020/model.safetensors'
python3 - <<'PYTHON'
import json
c = json.load(open("config.json"))
for field in ("hidden_size", "num_attention_heads", "kv_lora_rank"):
    del c[field]
json.dump(c, open("holes.json", "w"))
PYTHON
check "all missing fields in one message" '! "$hadal" inspect holes.json >/dev/null 2>err.txt && [ "$(wc -l <err.txt)" = 1 ] && grep -q hidden_size err.txt && grep -q num_attention_heads err.txt && grep -q kv_lora_rank err.txt'

# tests/data/models/v3 and v3_mtp were saved by transformers (v3_mtp: with a module that transformers drops). init_from alone takes the config.
for model in v3 v2_lite; do
  start=$data/models/$model
  check "$model is continued" '"$hadal" pretrain recipe.toml --run "$model" --set "model.init_from=$start" --set lr.peak=1e-4 >out.txt 2>&1 || { tail -n 3 out.txt; false; }'
  check "$model is continued from its weights, with its config, and loads back" 'python3 - "$start" "$model" <<PYTHON
import glob, json, struct, sys

fields = ("model_type", "hidden_size", "num_hidden_layers", "kv_lora_rank", "q_lora_rank", "n_routed_experts", "rope_theta")
a = json.load(open(sys.argv[1] + "/config.json"))
b = json.load(open(glob.glob(sys.argv[2] + "/checkpoints/step-*/config.json")[0]))
assert all(a[f] == b[f] for f in fields), (a, b)

def tensors(path):
    raw = open(path, "rb").read()
    n = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + n])
    header.pop("__metadata__", None)
    return {k: (v["shape"], raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in header.items()}

x = tensors(sys.argv[1] + "/model.safetensors")
y = tensors(glob.glob(sys.argv[2] + "/checkpoints/step-*/model.safetensors")[0])
assert {k: v[0] for k, v in x.items()} == {k: v[0] for k, v in y.items()}
changed = [k for k in x if x[k][1] != y[k][1]]
assert changed, "nothing was trained"
for k in x:
    if len(x[k][1]) != len(y[k][1]):
        continue
    a, b = (struct.unpack(f"<{len(t) // 4}f", t) for t in (x[k][1], y[k][1]))
    assert max((abs(p - q) for p, q in zip(a, b)), default=0) < 0.05, k
PYTHON
"$hadal" inspect "$model" >/dev/null && "$hadal" generate "$model" --prompt "a" --max-tokens 4 --temperature 0 --json >/dev/null 2>&1'
done
exit $bad
