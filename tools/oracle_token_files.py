"""Compares the special, added and stop tokens that hadal finds in a folder with those of transformers, on drawn folders.

    python tools/oracle_token_files.py --hadal build/hadal --seed 1 --rounds 100

Each folder holds a small tokenizer and other files of the library (tokenizer_config.json, special_tokens_map.json,
added_tokens.json, chat_template.jinja), drawn with tokens of theirs in every place. Compared are the roles, the ids of
texts, what decoding leaves out, the control tokens, and the fingerprint after transformers has written the folder again.
Exits with 1 on the first difference, which it prints.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import transformers
from transformers import PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
NEW = ["<n1>", "<n2>", "<n3>", "<|n4|>", "N5", "<n6 x>"]
PIECES = ["a", " b", "  ", "\n", "the", "word", "é", "1", "<", ">", "|"]
TEMPLATE = "{% for m in messages %}<n1>{{ m['role'] + '<|n4|>' }}{# <n2> #}{{ m['content'] }}{% endfor %}"


def flags(rng, special=None):
    values = {"single_word": rng.random() < 0.2, "lstrip": rng.random() < 0.2, "rstrip": rng.random() < 0.2}
    values["special"] = rng.random() < 0.6 if special is None else special
    values["normalized"] = rng.random() < 0.4
    return values


def as_object(rng, content):
    return {"__type": "AddedToken", "content": content, **flags(rng)}


def named(rng, names):
    """A token as a config names it: its text, or an object."""
    content = rng.choice(names)
    return as_object(rng, content) if rng.random() < 0.25 else content


def some(rng, names, most):
    return rng.sample(names, rng.randint(0, min(most, len(names))))


def draw_config(rng, names):
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for role in ROLES:
        if rng.random() < 0.35:
            config[role] = None if rng.random() < 0.15 else named(rng, names)
    if rng.random() < 0.2:
        config["image_token"] = rng.choice(names)
    if rng.random() < 0.3:
        config["extra_special_tokens"] = some(rng, names, 3) if rng.random() < 0.6 else {"audio_token": rng.choice(names)}
    if rng.random() < 0.3:
        config["additional_special_tokens"] = some(rng, names, 3)
    for key in ("add_bos_token", "add_eos_token"):
        if rng.random() < 0.3:
            config[key] = rng.random() < 0.5
    if rng.random() < 0.2:
        config["chat_control_tokens"] = some(rng, names, 2)
    if rng.random() < 0.4:
        config["chat_template"] = TEMPLATE if rng.random() < 0.6 else [{"name": "default", "template": TEMPLATE}]
    return config


def draw_map(rng, names):
    values = {}
    for role in ROLES:
        if rng.random() < 0.35:
            content = rng.choice(names)
            values[role] = content if rng.random() < 0.6 else {"content": content, **flags(rng)}
    if rng.random() < 0.2:
        values["video_token"] = rng.choice(names)
    if rng.random() < 0.3:
        values["additional_special_tokens"] = some(rng, names, 3)
    if rng.random() < 0.2:
        values["extra_special_tokens"] = some(rng, names, 3)
    return values


def draw_folder(rng, folder, source):
    file = json.loads((source / "tokenizer.json").read_text())
    added = file["added_tokens"]
    known = [token["content"] for token in added if token["content"].isascii()]  # others it decodes wrongly
    size = max(token["id"] for token in added) + 1
    in_vocabulary = rng.sample([t for t in file["model"]["vocab"] if t.isascii() and len(t) > 2], 3)
    names = rng.sample(known, 3) + NEW + in_vocabulary
    for content in some(rng, NEW, 2):  # in tokenizer.json, perhaps after a gap
        added.append({"id": size + rng.choice((0, 0, 3)), "content": content, **flags(rng)})
        size = added[-1]["id"] + 1
    (folder / "tokenizer.json").write_text(json.dumps(file))
    if rng.random() < 0.85:
        config = draw_config(rng, names)
        if rng.random() < 0.4:
            config["added_tokens_decoder"] = {str(t["id"]): {k: t[k] for k in t if k != "id"} for t in added}
            for content in some(rng, names, 3):
                config["added_tokens_decoder"][str(size)] = {"content": content, **flags(rng)}
                size += rng.choice((1, 1, 2))
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if rng.random() < 0.6:
        (folder / "special_tokens_map.json").write_text(json.dumps(draw_map(rng, names)))
    if rng.random() < 0.4:
        tokens = {content: size + i for i, content in enumerate(some(rng, NEW, 3))}
        (folder / "added_tokens.json").write_text(json.dumps(tokens))
    if rng.random() < 0.2:
        (folder / "chat_template.jinja").write_text(TEMPLATE)
    return names


def hadal(program, *verb, text=""):
    done = subprocess.run([program, *map(str, verb)], input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, verb))} failed: {done.stderr.decode()}")
    return done.stdout.decode()


def theirs_of(library, texts):
    roles = {}
    for role, token in library._special_tokens_map.items():
        roles[role] = None if token is None or str(token) == "" else (str(token), library.convert_tokens_to_ids(str(token)))
    ids = [library(text, add_special_tokens=True)["input_ids"] for text in texts]
    plain = [library(text, add_special_tokens=False)["input_ids"] for text in texts]
    tokens = {content: i for i, content in ((i, t.content) for i, t in library.added_tokens_decoder.items())}
    named = {value[1] for value in roles.values() if value}
    control = None
    if library.chat_template or library.chat_control_tokens is not None:
        template = library.get_chat_template() if library.chat_template else ""
        control = sorted({tokens[c] for c in library._get_control_tokens(template)} | named)
    return {"roles": roles, "ids": ids, "skipped": [library.decode(i, skip_special_tokens=True) for i in plain], "control": control}


def ours_of(program, folder, texts):
    report = json.loads(hadal(program, "inspect", folder, "--json"))["tokenizer"]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    ids = [json.loads(x) for x in hadal(program, "tokenizer", "encode", "--json", "--special", "--model", folder, text=lines).splitlines()]
    plain = hadal(program, "tokenizer", "encode", "--json", "--model", folder, text=lines)
    skipped = hadal(program, "tokenizer", "decode", "--json", "--skip-special", "--model", folder, text=plain)
    # Where no file says a word hadal goes on by stop tokens and names; the library has nothing there.
    by_name = ("by its name)", "config.json")
    roles = {t["role"]: None if t["id"] is None else (t["content"], t["id"]) for t in report["special_tokens"]
             if not (t["source"].endswith(by_name[0]) or t["source"] == by_name[1])}  # fmt: skip
    return {"roles": roles, "ids": ids, "skipped": [json.loads(x) for x in skipped.splitlines()],
            "control": report["control_tokens"], "fingerprint": report["fingerprint"]}  # fmt: skip


def differ(folder, seed, what, ours, theirs):
    print(f"DIFFERENT: seed {seed}, {what}\n  hadal   {ours}\n  library {theirs}")
    for path in sorted(folder.iterdir()):
        if path.name != "tokenizer.json":
            print(f"  {path.name}: {path.read_text()}")
    print(f"  added_tokens: {json.loads((folder / 'tokenizer.json').read_text())['added_tokens'][-4:]}")
    sys.exit(1)


def compare(program, folder, names, rng, seed):
    try:
        library = PreTrainedTokenizerFast.from_pretrained(str(folder))
    except (TypeError, ValueError):  # a combination that the library itself does not take
        return False
    texts = ["".join(rng.choice(PIECES + names * 2) for _ in range(rng.randint(1, 12))) for _ in range(8)]
    theirs, ours = theirs_of(library, texts), ours_of(program, folder, texts)
    for role in set(ours["roles"]) | set(theirs["roles"]):
        if ours["roles"].get(role) != theirs["roles"].get(role):
            differ(folder, seed, role, ours["roles"].get(role), theirs["roles"].get(role))
    for what in ("ids", "skipped"):
        for text, a, b in zip(texts, ours[what], theirs[what]):
            if a != b:
                differ(folder, seed, f"{what} of {text!r}", a, b)
    if theirs["control"] is not None and theirs["control"] != ours["control"]:
        differ(folder, seed, "control tokens", ours["control"], theirs["control"])
    with tempfile.TemporaryDirectory() as other:
        library.save_pretrained(other)
        again = json.loads(hadal(program, "inspect", other, "--json"))["tokenizer"]["fingerprint"]
        if again != ours["fingerprint"]:
            differ(folder, seed, "fingerprint after save_pretrained", again, ours["fingerprint"])
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hadal", required=True, help="the program")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    sources = [ROOT / "tests/data/text/tokenizers" / name for name in ("tiny_qwen2", "tiny_llama3", "tiny_gpt2")]
    compared = 0
    for i in range(arguments.rounds):
        seed = f"{arguments.seed} {i}"
        rng = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            names = draw_folder(rng, path, rng.choice(sources))
            compared += compare(arguments.hadal, path, names, rng, seed)
    if compared * 2 < arguments.rounds:
        sys.exit(f"only {compared} of {arguments.rounds} folders could be compared")
    print(f"transformers {transformers.__version__}: {compared} of {arguments.rounds} drawn folders, all equal")


if __name__ == "__main__":
    main()
