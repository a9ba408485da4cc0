#!/usr/bin/env bash
# data prepare and tokenizer train: memory does not grow with the file.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
small_text

# Be it one document, packed lines, or texts to train a tokenizer on.
cat >peak.py <<'PY'
import os, subprocess, sys
def peak(*args):  # KiB resident at most; a child of a shell or of this process would start at their size
    pid = os.posix_spawn(sys.argv[1], [sys.argv[1], *args], {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"})
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, args
    return usage.ru_maxrss
lines = open("text.jsonl").read()
for verb, name in ("prepare", "one.txt"), ("prepare", "lines.jsonl.gz"), ("train", "one.txt"), ("train", "lines.jsonl.gz"):
    peaks = []
    for megabytes in 20, 60:
        packer = subprocess.Popen(["gzip", "-1"] if name.endswith(".gz") else ["cat"], stdin=subprocess.PIPE, stdout=open(f"{megabytes}-{name}", "wb"))
        for _ in range(megabytes * 10**6 // len(lines)):
            packer.stdin.write(lines.encode())
        packer.stdin.close()
        assert packer.wait() == 0
        command = ("data", "prepare", "--tokenizer", "tok") if verb == "prepare" else ("tokenizer", "train", "--vocab-size", "300")
        peaks.append(peak(*command, f"{megabytes}-{name}", "--threads", "2", "--force", "--out", f"peak-{verb}"))
        os.remove(f"{megabytes}-{name}")
    assert peaks[1] - peaks[0] < 20_000, f"{verb} {name}: {peaks} KiB for 20 and 60 MB"
PY
python3 peak.py "$hadal" >out.txt 2>err.txt || { echo "NO: memory: $(tail -n 1 err.txt)"; exit 1; }
echo "ok"
