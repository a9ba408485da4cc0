"""Times one training step of the preset bench-100m in PyTorch (transformers' model), as `hadal bench train` does in hadal.

    python bench/torch_train.py [--hadal build/hadal] [--threads 2] [--steps 4] [--compile]

Ways that are tried: weights, moments and arithmetic in bf16 (less memory to move than hadal's f32 masters and moments: an advantage for PyTorch)
and in f32 (faster than bf16 on some processors); transformers' grouped_mm experts, and experts over sorted rows written here; each eager and, with
--compile, through torch.compile: eight ways. Attention is torch's scaled_dot_product_attention, the optimizer fused AdamW. Prints JSON: tokens/s of
each way, and with --hadal the ratio of hadal's (bf16) to the best of them, all measured in this call.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time

import torch
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as modeling

ROWS, TOKENS = 4, 1024


def config(experts):
    c = DeepseekV3Config(
        vocab_size=8192, hidden_size=512, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=8, q_lora_rank=384,
        kv_lora_rank=256, qk_nope_head_dim=64, qk_rope_head_dim=32, v_head_dim=64, intermediate_size=1536,
        moe_intermediate_size=256, n_routed_experts=32, num_experts_per_tok=4, n_group=4, topk_group=2, n_shared_experts=1,
        first_k_dense_replace=1, routed_scaling_factor=2.5, norm_topk_prob=True, max_position_embeddings=4096,
        tie_word_embeddings=False, use_cache=False)
    c._attn_implementation = "sdpa"
    c._experts_implementation = experts
    return c


def sorted_experts(self, x, ids, weights):
    """One matmul an expert over the rows that chose it, rows sorted once."""
    flat = ids.reshape(-1)
    order = torch.argsort(flat, stable=True)
    tokens = order // ids.shape[1]
    rows = x[tokens]
    sizes = torch.bincount(flat, minlength=self.num_experts).tolist()
    parts = []
    for e, part in enumerate(rows.split(sizes)):
        gate, up = torch.nn.functional.linear(part, self.gate_up_proj[e]).chunk(2, dim=-1)
        parts.append(torch.nn.functional.linear(self.act_fn(gate) * up, self.down_proj[e]))
    y = torch.cat(parts) * weights.reshape(-1)[order, None].to(x.dtype)
    return torch.zeros_like(x).index_add_(0, tokens, y)


def measure(dtype, experts, compiled, steps):
    torch.manual_seed(1)
    own = experts == "sorted"
    original = modeling.DeepseekV3Experts.forward
    model = DeepseekV3ForCausalLM(config("eager" if own else experts)).to(dtype).train()
    if own:
        modeling.DeepseekV3Experts.forward = sorted_experts
    step_model = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1, fused=True)
    times = []
    try:
        for i in range(steps + 1):
            ids = torch.randint(0, 8192, (ROWS, TOKENS))
            start = time.perf_counter()
            step_model(input_ids=ids, labels=ids).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if i > 0:
                times.append(time.perf_counter() - start)
    finally:
        modeling.DeepseekV3Experts.forward = original
    parameters = sum(p.numel() for p in model.parameters())
    return parameters, ROWS * TOKENS / statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hadal", help="path of the program: its own figure and the ratio are printed, too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--compile", action="store_true", help="also through torch.compile (minutes)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result = {"torch": torch.__version__, "threads": args.threads, "tokens_per_s": {}}
    if args.hadal:
        out = subprocess.run([args.hadal, "bench", "train", "--json", "--threads", str(args.threads), "--steps", str(args.steps)],
                             check=True, capture_output=True, text=True)
        result["hadal_tokens_per_s"] = json.loads(out.stdout)["tokens_per_s"]
    ways = itertools.product((torch.bfloat16, torch.float32), ("grouped_mm", "sorted"), (False, True) if args.compile else (False,))
    for dtype, experts, compiled in ways:
        name = f"{str(dtype).removeprefix('torch.')}, {experts}" + (", compiled" if compiled else "")
        result["parameters"], result["tokens_per_s"][name] = measure(dtype, experts, compiled, args.steps)
        print(f"{result['tokens_per_s'][name]:8.0f} tokens/s  {name}", file=sys.stderr, flush=True)
    result["best"] = max(result["tokens_per_s"], key=result["tokens_per_s"].get)
    if args.hadal:
        result["ratio"] = result["hadal_tokens_per_s"] / result["tokens_per_s"][result["best"]]
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
