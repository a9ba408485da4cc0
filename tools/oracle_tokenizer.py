"""Compares hadal's tokenizer with the `tokenizers` library on random Unicode text, and tokenizers that hadal trained.

    python tools/oracle_tokenizer.py --hadal build/hadal --seed 1 --seconds 60 [--tokenizer DIR_OR_JSON ...]

Exits with 1 on the first difference, which it prints. Without --tokenizer it takes those of tests/data/text/tokenizers.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import tokenizers
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
BATCH = 400
# Stretches of code points that pre-tokenizers and normalizers treat apart.
RANGES = [
    (0x20, 0x7E), (0x00, 0x1F), (0x7F, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF),
    (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1680, 0x1680), (0x180B, 0x180E), (0x1AB0, 0x1AFF),
    (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2100, 0x214F), (0x2460, 0x24FF), (0x3000, 0x30FF), (0x3130, 0x318F),
    (0x4E00, 0x9FFF), (0xA640, 0xA69F), (0xA980, 0xAAFF), (0xAC00, 0xD7FF), (0xE000, 0xE0FF), (0xF900, 0xFAFF),
    (0xFB00, 0xFB4F), (0xFE00, 0xFE2F), (0xFF00, 0xFFEF), (0x10900, 0x10FFF), (0x11000, 0x11FFF), (0x16A00, 0x16FFF),
    (0x1D100, 0x1D1FF), (0x1D400, 0x1D7FF), (0x1E000, 0x1E9FF), (0x1F100, 0x1FAFF), (0x20000, 0x20100),
    (0xE0000, 0xE01EF),
]  # fmt: skip
PIECES = [
    " ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", " \n ", "\u00a0", "\u3000", "\u2028", "\u180e", "\u200b", "\u200d",
    "'s", "'S", "'\u017f", "'ll", "'VE", "'Re", "\u2019s", "'d", "'", "don't", "e\u0301", "\u00e9", "A\u030a", "\u212b",
    "\u1100\u1161\u11a8", "\uac00", "word", "Word", "WORDS", "the", " the", " of", "1", "12", "123", "1234567", "\u0661\u0662",
    "\u00b2", "\u2167", "!", "!!!", "?!", "(", ")", "{}", "</", "<", ">", "...", "\u3002", "\uff0c", "\u30fb", "\u309b",
    "\u3099", "\u4e2d\u6587", "\u306e", "\u30ab\u30bf", "if x:\n\treturn y\n", "    ", "==", "#include <a.h>",
    "https://a.b/c?d=1", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u2764\ufe0f", "\ufffd", "\x00", "\x7f",
]  # fmt: skip


def random_text(rng, added):
    """A text of some pieces: code points from one or all stretches, known troublemakers, added tokens whole and broken."""
    parts = []
    home = rng.choice(RANGES)
    for _ in range(rng.choice((1, 2, 3, 5, 10, 20, 60))):
        kind = rng.random()
        if kind < 0.35:
            low, high = home if rng.random() < 0.7 else rng.choice(RANGES)
            parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))))
        elif kind < 0.8:
            parts.append(rng.choice(PIECES))
        elif kind < 0.88:
            cp = rng.randrange(0x110000 - 0x800)
            parts.append(chr(cp if cp < 0xD800 else cp + 0x800))
        elif added:
            token = rng.choice(added)
            parts.append(token if rng.random() < 0.7 else token[: rng.randint(1, len(token))])
        else:
            parts.append(rng.choice(PIECES) * rng.randint(2, 40))
    return "".join(parts)


def hadal_encode(hadal, model, texts, special):
    command = [hadal, "tokenizer", "encode", "--json", "--model", str(model)] + (["--special"] if special else [])
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.decode()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def hadal_decode(hadal, model, ids, skip):
    command = [hadal, "tokenizer", "decode", "--json", "--model", str(model)] + (["--skip-special"] if skip else [])
    lines = "".join(json.dumps(one) + "\n" for one in ids)
    done = subprocess.run(command, input=lines.encode(), capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def differ(name, seed, what, shown, ours, theirs):
    print(f"DIFFERENT: {name}, seed {seed}, {what}\n  of      {json.dumps(shown)}\n  hadal   {ours}\n  library {theirs}")
    sys.exit(1)


def compare_texts(hadal, model, library, texts, seed):
    for special in (False, True):
        ours = hadal_encode(hadal, model, texts, special)
        theirs = [one.ids for one in library.encode_batch(texts, add_special_tokens=special)]
        if len(ours) != len(texts):
            differ(model, seed, "number of answers", "", len(ours), len(texts))
        for text, a, b in zip(texts, ours, theirs):
            if a != b:
                differ(model, seed, f"ids (special tokens: {special})", text, a, b)


def compare_decoding(hadal, model, library, rng, seed):
    """Random ids: most make invalid UTF-8. Added tokens that the library sends through the byte table are left out."""
    size = library.get_vocab_size(with_added_tokens=True)
    added = library.get_added_tokens_decoder()
    allowed = [i for i in range(size) if i not in added or added[i].content.isascii()]
    ids = [rng.choices(allowed, k=rng.randint(0, 30)) for _ in range(BATCH)]
    for skip in (False, True):
        ours = hadal_decode(hadal, model, ids, skip)
        for one, a, b in zip(ids, ours, library.decode_batch(ids, skip_special_tokens=skip)):
            if a != b:
                differ(model, seed, f"text (skip special: {skip})", one, json.dumps(a), json.dumps(b))


def library_trained(texts, size, first, splits):
    from tokenizers import Regex, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in splits]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=first,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]


def compare_training(hadal, rng, seed):
    """A tokenizer that hadal trains: the library's merges and ids, and it loads in both libraries with equal ids."""
    texts = [random_text(rng, None) for _ in range(rng.choice((50, 300, 1500)))]
    size = rng.choice((300, 700, 1500))
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "corpus.jsonl"
        corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        out = pathlib.Path(folder) / "out"
        command = [hadal, "tokenizer", "train", str(corpus), "--out", str(out), "--vocab-size", str(size)]
        subprocess.run(command, check=True, capture_output=True)
        file = json.loads((out / "tokenizer.json").read_text())
        first = [token["content"] for token in file["added_tokens"] if token["special"]]
        last = [token["content"] for token in file["added_tokens"] if not token["special"]]
        splits = [step["pattern"]["Regex"] for step in file["pre_tokenizer"]["pretokenizers"][:-1]]
        vocab, merges = library_trained(texts, size - len(last), first, splits)
        ours = [merge.split(" ") for merge in file["model"]["merges"]]
        for i, (a, b) in enumerate(zip(ours, merges)):
            if a != b:
                differ("training", seed, f"merge {i} of vocabulary {size}", len(texts), a, b)
        if len(ours) != len(merges) or file["model"]["vocab"] != vocab:
            differ("training", seed, "vocabulary", size, len(ours), len(merges))
        library = Tokenizer.from_file(str(out / "tokenizer.json"))
        samples = [random_text(rng, first + last) for _ in range(BATCH)]
        compare_texts(hadal, out, library, samples, seed)
        compare_decoding(hadal, out, library, rng, seed)
        compare_transformers(hadal, out, samples[:50], first, seed)


def compare_transformers(hadal, out, samples, first, seed):
    try:
        from transformers import AutoTokenizer
    except ImportError:
        return
    loaded = AutoTokenizer.from_pretrained(str(out))
    names = [loaded.bos_token, loaded.eos_token, loaded.pad_token]
    if names != first[:3]:
        differ("transformers", seed, "bos, eos, pad", "", first[:3], names)
    theirs = [loaded(text, add_special_tokens=False)["input_ids"] for text in samples]
    for text, a, b in zip(samples, hadal_encode(hadal, out, samples, False), theirs):
        if a != b:
            differ("transformers", seed, "ids", text, a, b)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hadal", required=True, help="the program")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30, help="stop after the round that passes this time")
    parser.add_argument("--tokenizer", action="append", help="model folder or tokenizer.json; may be given again")
    arguments = parser.parse_args()
    models = arguments.tokenizer or sorted(str(p) for p in (ROOT / "tests/data/text/tokenizers").iterdir())
    libraries = {}
    for model in models:
        path = pathlib.Path(model)
        libraries[model] = Tokenizer.from_file(str(path / "tokenizer.json" if path.is_dir() else path))
    print(f"tokenizers {tokenizers.__version__}, seed {arguments.seed}")
    start, texts, rounds = time.monotonic(), 0, 0
    while rounds == 0 or time.monotonic() - start < arguments.seconds:
        rng = random.Random(f"{arguments.seed} {rounds}")
        for model, library in libraries.items():
            added = [token.content for token in library.get_added_tokens_decoder().values()]
            compare_texts(arguments.hadal, model, library, [random_text(rng, added) for _ in range(BATCH)], arguments.seed)
            compare_decoding(arguments.hadal, model, library, rng, arguments.seed)
            texts += BATCH
        compare_training(arguments.hadal, rng, arguments.seed)
        texts += BATCH
        rounds += 1
    print(f"{texts} random texts in {rounds} rounds, {len(models)} tokenizers and {rounds} trained ones: all ids equal")


if __name__ == "__main__":
    main()
