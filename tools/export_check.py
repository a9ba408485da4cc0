"""Loads a model folder that hadal wrote in transformers and compares greedy text and its log-probs with `hadal generate`.

    python tools/export_check.py --hadal build/hadal --model runs/demo/run/checkpoints/step-... [--prompts N]
"""

import argparse
import json
import subprocess
import sys

import torch
import transformers

PROMPTS = ["The captain", "It was a dark night,", "She said that", "Of all the men in the ship", "In the year 1851"]


def greedy_of_hadal(hadal, model, prompt, count):
    out = subprocess.run(
        [hadal, "generate", model, "--prompt", prompt, "--temperature", "0", "--max-tokens", str(count), "--dtype", "f32",
         "--form", "expanded", "--json"],
        check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def check(model, tokenizer, ours):
    """Worst difference of log-probs along our text, after checking ids and greedy choices. None: they differ."""
    prompt, ids = ours["prompt_ids"], ours["ids"]
    if tokenizer is not None and tokenizer(tokenizer.decode(prompt), add_special_tokens=False)["input_ids"] != prompt:
        return None
    with torch.no_grad():
        logits = model(torch.tensor([prompt + ids])).logits[0].double()
    logp = torch.log_softmax(logits, -1)[len(prompt) - 1:-1]
    if logp.argmax(-1).tolist() != ids:
        return None
    picked = logp[torch.arange(len(ids)), torch.tensor(ids)]
    return (picked - torch.tensor(ours["logprobs"], dtype=torch.float64)).abs().max().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hadal", default="build/hadal")
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=48)
    args = parser.parse_args()
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    failed = 0
    for prompt in PROMPTS:
        worst = check(model, tokenizer, greedy_of_hadal(args.hadal, args.model, prompt, args.count))
        good = worst is not None and worst < 1e-4
        failed += not good
        print(f"{'ok' if good else 'NO'}  {prompt!r}: greedy text {'equal' if worst is not None else 'differs'}, log-probs within {worst}")
    print(f"{len(PROMPTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
