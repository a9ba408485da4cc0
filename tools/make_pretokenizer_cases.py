"""Writes tests/data/text/pretokenizer.jsonl: what the `tokenizers` library's pre-tokenizer steps make of small texts.

    python tools/make_pretokenizer_cases.py > tests/data/text/pretokenizer.jsonl
"""

import json
import random

from tokenizers import Regex, pre_tokenizers

TEXTS = [
    "", " ", "aab", "caaab", "Hello world, it's 2024!\n\nNext  line", "a\r\nb\n", "1234567 12 x9", "x--y--", "--x", "  a  ",
    "é\u00a0中文\u3000、カタカナ", "\u180e a\u180e", "tab\there", "ＡＢ１２", "AbCdEF gHi", "a.b,c;", "\n\n\n", " \n x\n ",
    "\u0661\u0662 \u2167\u00b2", "don't WE'LL'S", "end ",
]  # fmt: skip
UNKNOWN = [
    r"\S+", r"\s+x", r"[\s]+x?", r"a*", r"(?=b)", r"^.", r".$", r"$", r"\b", r"\w+|[^\w\s]+", r"[A-Z]?[a-z]+", r"\h+",
    r"(?<=a)b", r" ?\p{Lu}+", r"(?i:b)", r"\d{2}", r"[^\s\d]++", r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", r"a\Kb",
]  # fmt: skip
CLASSES = [r"\s", r"\p{N}", r"\p{N}{1,3}", r"[\r\n]", r"[a-c]+", r"\s?[A-Za-z]+", r"[^\s]+", r"[一-龥]+", r"\s?[!-/:-~、]+", r"\s+$"]
BEHAVIORS = {
    "Isolated": "isolated",
    "Removed": "removed",
    "MergedWithPrevious": "merged_with_previous",
    "MergedWithNext": "merged_with_next",
    "Contiguous": "contiguous",
}


def record(step, text, **fields):
    pieces = [piece for piece, _ in step.pre_tokenize_str(text)]
    print(json.dumps({**fields, "text": text, "pieces": pieces}))


def main():
    rng = random.Random(1)
    for kind, patterns in (("unknown", UNKNOWN), ("class", CLASSES), ("literal", ["a", "--", " "])):
        for pattern in patterns:
            for text in rng.sample(TEXTS, 6) + [rng.choice(TEXTS[2:])]:
                behavior = rng.choice(list(BEHAVIORS)) if rng.random() < 0.7 else "Isolated"
                invert = rng.random() < 0.3
                shown = pattern if kind == "literal" else Regex(pattern)
                step = pre_tokenizers.Split(shown, BEHAVIORS[behavior], invert)
                record(step, text, kind=kind, pattern=pattern, behavior=behavior, invert=invert)
    for text in [*TEXTS, "x\U00011de9\U00016ff4\U00010d40y"]:  # digits of Unicode 17 and 16
        for individual in (False, True):
            record(pre_tokenizers.Digits(individual), text, kind="digits", individual=individual)


if __name__ == "__main__":
    main()
