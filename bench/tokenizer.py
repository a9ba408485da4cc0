"""Encodes and trains beside the `tokenizers` library, both on one thread and cold, and compares every id and every merge.

    python bench/tokenizer.py --tokenizer FOLDER [--hadal build/hadal] [--rounds 3] [--text FILE ...]

Rounds take turns: hadal loads, encodes and trains; then the library loads anew (its cache of words is as empty as hadal's),
encodes the same documents in the fastest of its ways (one by one, as a batch, as a batch without offsets) and trains 8,192
tokens. Prints JSON: the best seconds of each and the ratios.
"""

import os

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")  # before the library is loaded

import argparse
import array
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import tokenizers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

WAYS = {
    "one by one": lambda library, texts: [library.encode(text, add_special_tokens=False) for text in texts],
    "batch": lambda library, texts: library.encode_batch(texts, add_special_tokens=False),
    "batch without offsets": lambda library, texts: library.encode_batch_fast(texts, add_special_tokens=False),
}


def timed(f, *args):
    start = time.perf_counter()
    result = f(*args)
    return time.perf_counter() - start, result


def documents_of(ids):
    """ids.bin: each document is ended by -1."""
    all_ids, document = [], []
    for i in ids:
        if i < 0:
            all_ids.append(document)
            document = []
        else:
            document.append(i)
    return all_ids


def untrained(trained):
    """The library's tokenizer with the pre-tokenizer that hadal has trained with, and a trainer of the same size."""
    splits = [step["pattern"]["Regex"] for step in trained["pre_tokenizer"]["pretokenizers"] if step["type"] == "Split"]
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in splits]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=len(trained["model"]["vocab"]),
        min_frequency=2,
        special_tokens=[t["content"] for t in trained["added_tokens"] if t["special"]],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return library, trainer


def merges_of(model):
    return [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]


def same(what, ours, theirs):
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            sys.exit(f"{what} {i} differs:\n  hadal   {a}\n  library {b}")
    if len(ours) != len(theirs):
        sys.exit(f"{what}: hadal has {len(ours)}, the library {len(theirs)}")
    return len(ours)


def hadal_round(args, folder):
    command = [args.hadal, "bench", "tokenizer", "--tokenizer", args.tokenizer, "--json", "--seconds", "0", "--out", folder]
    command += [option for text in args.text for option in ("--text", text)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def library_round(args, texts, trained, best):
    for way, encode in WAYS.items():
        seconds, library = timed(Tokenizer.from_file, str(pathlib.Path(args.tokenizer) / "tokenizer.json"))
        best["load"].append(seconds)
        seconds, encodings = timed(encode, library, texts)
        best["encode"].append(seconds)
        best["ways"][way] = min(seconds, best["ways"].get(way, seconds))
    library, trainer = untrained(trained)
    best["train"].append(timed(library.train_from_iterator, texts, trainer)[0])
    return [e.ids for e in encodings], json.loads(library.to_str())["model"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hadal", default="build/hadal")
    parser.add_argument("--tokenizer", required=True, help="folder with a tokenizer.json")
    parser.add_argument("--text", action="append", default=[], help=".txt or .jsonl; none: the generated mixed text")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    ours = {"load_seconds": [], "encode": [], "train": []}
    theirs = {"load": [], "encode": [], "train": [], "ways": {}}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            result = hadal_round(args, folder)
            ours["load_seconds"].append(result["load_seconds"])
            for part in ("encode", "train"):
                ours[part].append(result[part]["seconds"])
            out = pathlib.Path(folder)
            texts = [json.loads(line)["text"] for line in (out / "texts.jsonl").open(encoding="utf-8")]
            trained = json.loads((out / "trained" / "tokenizer.json").read_text(encoding="utf-8"))
            their_ids, their_model = library_round(args, texts, trained, theirs)
        ids = array.array("i")
        ids.frombytes((out / "ids.bin").read_bytes())
    documents = documents_of(ids)
    same("document", documents, their_ids)
    merges = same("merge", merges_of(trained["model"]), merges_of(their_model))
    size = result["text_bytes"]
    report = {"tokenizers": tokenizers.__version__, "text_bytes": size, "documents": len(documents), "ids_equal": sum(map(len, documents)),
              "merges_equal": merges, "checksum": result["encode"]["checksum"]}
    for part in ("encode", "train"):
        a, b = min(ours[part]), min(theirs[part])
        report[part] = {"hadal_seconds": a, "library_seconds": b, "hadal_mb_per_s": size / a / 1e6, "library_mb_per_s": size / b / 1e6,
                        "ratio": b / a}
    report["encode"]["library_ways"] = theirs["ways"]
    report["load"] = {"hadal_seconds": min(ours["load_seconds"]), "library_seconds": min(theirs["load"])}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
