"""A checkpoint that transformers saved, continued by hadal, loaded by transformers again: the config and names stay, the loss that transformers
computes on the text falls, and greedy text and log-probs of the two programs agree. A part of `make oracle`.

    python tools/continue_check.py --hadal build/hadal
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

from export_check import check, greedy_of_hadal

SIZES = dict(hidden_size=64, intermediate_size=128, moe_intermediate_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
             q_lora_rank=48, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, n_routed_experts=8, n_shared_experts=1,
             num_experts_per_tok=2, n_group=2, topk_group=1, first_k_dense_replace=1, max_position_embeddings=256)


def loss_of(folder, ids):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(ids, labels=ids).loss.item(), model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hadal", default="build/hadal")
    args = parser.parse_args()
    hadal = str(pathlib.Path(args.hadal).resolve())
    with tempfile.TemporaryDirectory() as t:
        t = pathlib.Path(t)

        def run(*command):
            subprocess.run([hadal, *map(str, command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=t)

        run("data", "generate", "--seed", 5, "--bytes", 60000, "--out", "text.jsonl")
        run("tokenizer", "train", "--vocab-size", 400, "--out", "tok", "text.jsonl")
        # The tokenizer, too, goes through transformers: its files are written again, the shards stay valid.
        run("data", "prepare", "--tokenizer", "tok", "--out", "shards", "text.jsonl")
        tokenizer = transformers.AutoTokenizer.from_pretrained(t / "tok")
        torch.manual_seed(7)
        config = transformers.DeepseekV3Config(vocab_size=len(tokenizer), **SIZES)
        transformers.DeepseekV3ForCausalLM(config).save_pretrained(t / "start")
        tokenizer.save_pretrained(t / "start")
        (t / "recipe.toml").write_text('[model]\ninit_from = "start"\n[data]\ntokenizer = "start"\ntrain = ["shards"]\nsequence_length = 64\n'
                                       "[train]\ntokens = 25600\nrows = 8\n[lr]\npeak = 2e-3\n")
        run("pretrain", "recipe.toml", "--run", "run")
        newest = sorted((t / "run/checkpoints").glob("step-*"))[-1]
        text = json.loads((t / "text.jsonl").read_text().splitlines()[0])["text"]
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"][:200]])
        before, start = loss_of(t / "start", ids)
        after, model = loss_of(newest, ids)
        same = {k: tuple(v.shape) for k, v in start.state_dict().items()} == {k: tuple(v.shape) for k, v in model.state_dict().items()}
        worst = check(model, transformers.AutoTokenizer.from_pretrained(newest), greedy_of_hadal(hadal, newest, "the ", 24))
        good = same and after < before - 0.3 and worst is not None and worst < 1e-4
        print(f"{'ok' if good else 'NO'}  continued: loss {before:.3f} -> {after:.3f} in transformers, the same tensors: {same}, greedy log-probs within {worst}")
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
