"""The living oracle: fresh random models, compared with PyTorch and transformers each time it runs.

    python tools/oracle.py --hadal build/hadal [--seed N] [--seconds 180] [--count K] [--first I] [--only PARTS]

Draws configurations of four families, writes each as a Hugging Face folder with a reference file, and runs
`hadal verify` on it; counts parameters against transformers' meta device; loads hadal's exports in transformers; compares
tokenizers. Prints the seed; exits with 1 if anything differs and keeps the folders of failed models.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

import oracle_checks as checks
import oracle_models as models

PARTS = ("counts", "models", "tokenizer")
SHARE = {"models": 0.9, "tokenizer": 0.3}  # of --seconds, side by side; the counts take what they take, about 0.1


class Tally:
    def __init__(self):
        self.models = self.redrawn = self.unsteady = self.resampled = self.as_torch = self.exports = 0
        self.failed = []

    def add(self, drawn):
        self.models += 1
        self.redrawn += drawn.redrawn
        self.unsteady += drawn.unsteady


def check_model(args, number, tally):
    """One model through all its replays; a failing one's folder is kept."""
    folder = Path(tempfile.mkdtemp(prefix="hadal-oracle-"))
    bf16 = args.bf16 and number % args.bf16 == 0
    drawn = models.draw_model(args.seed, number, folder, bf16)
    tally.add(drawn)
    runs = [("f32", ["--threads", str(1 + number % 3)])]
    if "kv_lora_rank" in drawn.config:
        runs.append(("absorbed", ["--form", "absorbed"]))
    if bf16:
        runs.append(("bf16", ["--dtype", "bf16"]))
    notes, output, good = [], [], True
    for label, options in runs:
        passed, note, text, failed = models.verify(args.hadal, folder, *options)
        if label == "bf16" and not passed:
            models.resample_bf16(folder)
            passed, note, text, _ = models.verify(args.hadal, folder, *options)
            tally.resampled += 1
        elif failed and models.as_unsteady_in_torch(folder, failed):
            passed, note = True, "as PyTorch"
            tally.as_torch += 1
        good &= passed
        notes.append(f"{label} {note}")
        output += [] if passed else [text]
    if args.export and number % args.export == 0:
        dtype = "bf16" if number // args.export % 2 else "f32"
        wrong = checks.check_export(args.hadal, folder, drawn.config, drawn.inputs["tokens"], dtype)
        tally.exports += 1
        good &= not wrong
        notes.append(f"export {dtype} " + ("FAILED" if wrong else "ok"))
        output += wrong
    print(f"{'ok  ' if good else 'FAIL'} {drawn.name}: {drawn.describe()}: {', '.join(notes)}", flush=True)
    if good:
        shutil.rmtree(folder)
        return
    kept = Path(args.keep) / f"model-{drawn.name}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, kept)
    tally.failed.append(f"model {drawn.name}, kept in {kept}: --seed {args.seed} --first {number} --count 1 draws it again")
    print("\n".join(output), flush=True)


def check_models(args, tally):
    end, number = time.monotonic() + args.seconds * SHARE["models"], args.first
    while number < args.first + args.count if args.count else time.monotonic() < end:
        try:
            check_model(args, number, tally)
        except Exception:
            traceback.print_exc()
            tally.failed.append(f"model {args.seed}.{number}: the oracle itself stopped, see the traceback above")
        number += 1


def check_tokenizer(args):
    """(what the comparisons of tokenizers print, those that failed)."""
    parts = {
        "tokenizer": ("oracle_tokenizer.py", "--seconds", str(int(args.seconds * SHARE["tokenizer"]))),
        "token files": ("oracle_token_files.py", "--rounds", "60"),
    }
    printed, failed = "", []
    for name, (script, *options) in parts.items():
        command = [sys.executable, str(Path(__file__).with_name(script)), "--hadal", args.hadal, "--seed", str(args.seed)]
        command += options
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        printed += done.stdout
        if done.returncode:
            failed.append(f"{name}: {' '.join(command)}")
    return printed, failed


def check_counts(args, tally):
    wrong = checks.check_counts(args.hadal, args.seed, args.configs)
    print(f"{'FAIL' if wrong else 'ok  '} parameters of {args.configs} configurations, {len(wrong)} differ", flush=True)
    tally.failed += wrong


def main():
    parser = argparse.ArgumentParser(description="Compare hadal with PyTorch and transformers on random models.")
    parser.add_argument("--hadal", required=True, help="the program to test")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--count", type=int, help="exactly so many models, whatever the time")
    parser.add_argument("--first", type=int, default=0, help="number of the first model of the seed")
    parser.add_argument("--configs", type=int, default=100, help="configurations whose parameters are counted")
    parser.add_argument("--bf16", type=int, default=4, help="every so many models also in bf16; 0: none")
    parser.add_argument("--export", type=int, default=3, help="every so many models also exported; 0: none")
    parser.add_argument("--keep", help="where folders of failed models go (oracle-failures beside the program)")
    parser.add_argument("--only", default=",".join(PARTS), help="comma-separated parts: " + ", ".join(PARTS))
    args = parser.parse_args()
    parts = args.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only: unknown part {sorted(unknown)[0]!r}; known: {', '.join(PARTS)}")
    args.hadal = str(Path(args.hadal).resolve())
    if not os.access(args.hadal, os.X_OK):
        sys.exit(f"oracle: {args.hadal} is not a program; build it first")
    args.keep = args.keep or str(Path(args.hadal).with_name("oracle-failures"))
    torch.set_num_threads(1)
    print(f"oracle: seed {args.seed}", flush=True)
    tally, start = Tally(), time.monotonic()
    with ThreadPoolExecutor(1) as another_core:
        tokenizers = another_core.submit(check_tokenizer, args) if "tokenizer" in parts else None
        if "counts" in parts:
            check_counts(args, tally)
        if "models" in parts:
            check_models(args, tally)
    if tokenizers:
        printed, failed = tokenizers.result()
        print(printed, end="", flush=True)
        tally.failed += failed
    for line in tally.failed:
        print(f"failed: {line}")
    print(
        f"oracle: seed {args.seed}: {tally.models} models, {tally.redrawn} redrawn, {tally.unsteady} redrawn as "
        f"ill-conditioned, {tally.resampled} bf16 resampled, {tally.as_torch} no worse than PyTorch, {tally.exports} exports, {len(tally.failed)} failed, {time.monotonic() - start:.0f} s"
    )
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
