#!/usr/bin/env bash
# Every benchmark of kernels runs on tiny sizes and prints the JSON that docs/bench.md describes. Times decide nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# check NAME UNIT LIMITS ROWS WORD...: there must be LIMITS limits and ROWS rows at least, each WORD is in a row's name.
check() {
  local name=$1
  "$hadal" bench "$name" --quick --json --threads 2 >"$name.json"
  python3 - "$@" <<'P'
import json, math, sys
name, unit, limits, rows, *words = sys.argv[1:]
d = json.load(open(name + ".json"))
assert list(d) == ["bench", "isa", "threads", "unit", "limits", "notes", "rows", "totals"], list(d)
assert (d["bench"], d["threads"], d["unit"]) == (name, 2, unit), d
assert len(d["limits"]) == int(limits) and all(v > 0 for v in d["limits"].values()), d["limits"]
assert len(d["rows"]) >= int(rows), len(d["rows"])
for r in d["rows"]:
    assert list(r) == ["name", "shape", "dtype", "limit", "share", "rate", "seconds", "seconds_median"], list(r)
    assert r["seconds_median"] >= r["seconds"] > 0, r
for r in d["rows"] + d["totals"]:
    assert math.isclose(r["share"] * d["limits"][r["limit"]], r["rate"], rel_tol=1e-9), r
for word in words:
    assert any(word in r["name"].split() for r in d["rows"]), word
print(f"ok: {name}: {len(d['rows'])} rows")
P
  "$hadal" bench "$name" --quick >"$name.txt"
  grep -q "share  of" "$name.txt" || { echo "no table of $name"; exit 1; }
}
check gemm FLOP/s 2 50 square q_a_proj lm_head y dx dw
check grouped FLOP/s 2 18 w1 w2 w3 y dx dw
check attention FLOP/s 1 2 forward backward
check memory B/s 3 9 rms_norm swiglu adamw
check decode B/s 1 3 latent expanded

"$hadal" data generate --seed 3 --bytes 30000 --out text.jsonl >generated.txt
"$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >trained.txt 2>&1
"$hadal" bench tokenizer --quick --json --tokenizer tok --out first >tokenizer.json
"$hadal" bench tokenizer --quick --json --tokenizer tok --out second >again.json
"$hadal" bench tokenizer --quick --tokenizer tok --text text.jsonl --out given >tokenizer.txt
"$hadal" tokenizer encode --model tok --json first/texts.jsonl >ids.txt
"$hadal" tokenizer train --vocab-size 512 --out trained first/texts.jsonl >trained.txt 2>&1
cmp trained/tokenizer.json first/trained/tokenizer.json
cmp text.jsonl given/texts.jsonl
diff -r first second
python3 - <<'P'
import array, json
d, again = json.load(open("tokenizer.json")), json.load(open("again.json"))
assert list(d) == ["bench", "threads", "text_bytes", "documents", "rounds", "load_seconds", "encode", "train"], list(d)
texts = [json.loads(l)["text"] for l in open("first/texts.jsonl", encoding="utf-8")]
assert d["documents"] == len(texts) and d["text_bytes"] == sum(len(t.encode()) for t in texts) >= 100000, d
letters = set("".join(texts))
assert {"a", "0", "{", "\n", "\u0430"} <= letters and len(letters) > 1500, len(letters)
ids = array.array("i")
ids.frombytes(open("first/ids.bin", "rb").read())
expected = [i for line in open("ids.txt") for i in json.loads(line) + [-1]]
assert list(ids) == expected and d["encode"]["ids"] == len(expected) - len(texts), d["encode"]
assert d["train"]["merges"] == len(json.load(open("trained/tokenizer.json"))["model"]["merges"]), d["train"]
for part in ("encode", "train"):
    p = d[part]
    assert p["checksum"] == again[part]["checksum"] and p["seconds_median"] >= p["seconds"] > 0, p
    assert abs(p["bytes_per_s"] * p["seconds"] / d["text_bytes"] - 1) < 1e-9, p
print("ok: tokenizer")
P
if "$hadal" bench tokenizer --quick --tokenizer tok --threads 2 2>refused.txt; then exit 1; fi
grep -q "threads 2: a tokenizer is measured on one thread" refused.txt

"$hadal" bench train --quick --json --threads 2 >train.json
python3 - <<'P'
import json, math
d = json.load(open("train.json"))
assert d["tokens_per_step"] == 32 and len(d["losses"]) == 3 and all(0 < l < 20 for l in d["losses"]), d
assert math.isclose(d["share_of_peak"] * d["peak_flops"], d["tokens_per_s"] * d["flops_per_token"], rel_tol=1e-9), d
assert math.isclose(sum(o["share_of_time"] for o in d["ops"].values()), 1, rel_tol=1e-9), d["ops"]
assert d["gemm_flops"] > 0, d
assert 0 < d["peak_tensor_bytes"] < d["peak_resident_bytes"], d
assert d["ops"]["attention_backward"]["calls"] > 0 and d["ops"]["grouped matmul, weight gradient"]["calls"] > 0, d["ops"]
print("ok: train")
P
"$hadal" bench memory-tokens --quick --json --threads 2 >tokens.json
python3 - <<'P'
import json
d = json.load(open("tokens.json"))["recompute"]
assert list(d) == ["none", "selective", "blocks"], list(d)
for m in d.values():
    assert [p["tokens"] for p in m["points"]] == [64, 256, 1024, 2048], m
    # Linear: from one length to the next a token takes no more than before, as constant parts count less. A byte for
    # each pair of tokens would add 1024 bytes a token from 1024 to 2048.
    a, b, c = (p["bytes"] / p["tokens"] for p in m["points"][1:])
    assert 0 < c <= b <= a, m
assert d["blocks"]["bytes_per_token"] < d["selective"]["bytes_per_token"] < d["none"]["bytes_per_token"], d
print("ok: memory-tokens")
P
"$hadal" bench memory-tokens --quick >tokens.txt
grep -q "largest deviation" tokens.txt
"$hadal" bench train --quick >train.txt
grep -q "^MFU .* of .* GFLOP/s" train.txt

"$hadal" bench machine --quick --json --threads 2 >machine.json
"$hadal" bench machine --quick --threads 2 >machine.txt
"$hadal" bench contention --quick --json --threads 2 >contention.json
"$hadal" bench contention --quick --threads 2 >contention.txt
python3 - <<'P'
import json

machine = json.load(open("machine.json"))
assert list(machine) == ["bench", "isa", "threads", "instructions", "reads", "kernels"], list(machine)
assert [k["dtype"] for k in machine["kernels"]] == ["f32", "bf16"] and all(k["why"] for k in machine["kernels"]), machine
assert machine["instructions"][0]["name"].startswith("VFMADD231PS"), machine
for i in machine["instructions"]:
    assert i["one_thread_per_s"] > 0 and i["all_threads_per_s"] > 0, i
    assert i["keeps_contract"] == (i["name"].split()[0] in ("VFMADD231PS", "VDPBF16PS")), i
assert machine["reads"][-1]["name"].startswith("memory"), machine
for r in machine["reads"]:
    assert r["one_thread_bytes_per_s"] > 0 and r["all_threads_bytes_per_s"] > 0 and "stream" in r["way"], r
text = open("machine.txt").read()
for row in machine["instructions"] + machine["reads"]:
    assert row["name"] in text, row

contention = json.load(open("contention.json"))
assert list(contention) == ["bench", "isa", "preset", "dtype", "rows"], list(contention)
rows = contention["rows"]
assert [(r["name"], r["threads"], r["neighbours"]) for r in rows] == [
    (name, threads, n) for threads in (1, 2) for name in ("decode", "training") for n in (0, 1)
], rows
for r in rows:
    assert r["tokens_per_s"] > 0 and len(r["rounds"]) == 1, r
    assert r["neighbours"] > 0 or r["share_of_idle"] == 1, r
    assert r["threads"] > 1 or r["share_of_one_thread"] == 1, r
assert open("contention.txt").read().count("training") == 4
P
