"""Writes a reference file (hadal-reference-1) of any model folder that transformers loads.

    python tools/reference.py DIR --out FILE [--seed N] [--batch 2] [--length 40] [--greedy 24] [--steps 10] [--long N]
    python tools/reference.py DIR --like FILE --compare        the tokens of FILE again; prints how far its values are
    python tools/reference.py DIR --out FILE --dtype bfloat16  adds PyTorch's own bf16 errors (bf16_error.NAME)
    python tools/reference.py DIR --like FILE --errors-only --neighbours 8 --out SMALL    these alone: hadal verify --bf16-errors

Values are float64 from the float32 weights. docs/oracle.md describes the format.
"""

import argparse
import re
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from oracle_torch import Model, read_tensors

LAMBDA, ALPHA, GAMMA = 0.3, 0.01, 1e-3
LR, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.95, 1e-8, 0.1


def metadata(clip):
    return {
        "format": "hadal-reference-1",
        "loss": "mean over B*T",
        "mtp_lambda": str(LAMBDA),
        "balance_alpha": str(ALPHA),
        "balance_selection": "routed",
        "mtp_hidden": "post_norm",
        "bias_gamma": "1e-3",
        "optimizer": f"adamw lr=1e-3 beta1=0.9 beta2=0.95 eps=1e-8 decay=0.1 decay_dims>=2 clip={clip}",
    }


def cross_entropy_sum(logits, targets):
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


def balance_loss(model, batch):
    """Sum over MoE layers of sum_i f_i P_i, mean over sequences (SPEC 2.3)."""
    total = 0.0
    for routing in model.routing.values():
        experts, k = routing.scores.shape[1], routing.ids.shape[1]
        share = routing.scores / routing.scores.sum(-1, keepdim=True)
        share = share.view(batch, -1, experts).mean(1)
        slots = routing.ids.shape[0] // batch
        chosen = torch.zeros_like(routing.scores).scatter(1, routing.ids, 1.0).view(batch, slots, experts).sum(1)
        total = total + (chosen * (experts / (k * slots)) * share).sum(-1).mean()
    return total


def objective(model, tokens):
    """tokens (B, T + 1) -> (losses, logits, MTP logits); routing is left in model.routing."""
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    count = targets.numel()
    logits, hidden = model.forward(inputs)
    mtp = model.forward_mtp(inputs, hidden)
    losses = {"loss.main": cross_entropy_sum(logits, targets) / count}
    total = losses["loss.main"]
    if mtp:
        terms = [cross_entropy_sum(l, targets[:, k:]) / count for k, l in enumerate(mtp, 1)]
        losses["loss.mtp"] = torch.stack(terms)
        total = total + LAMBDA / len(terms) * losses["loss.mtp"].sum()
    if model.routing:
        losses["loss.balance"] = balance_loss(model, len(tokens))
        total = total + ALPHA * losses["loss.balance"]
    losses["loss.total"] = total
    return losses, logits, mtp


def attach_traces(model, out):
    """Hooks that keep attention, ffn and output of sequence 0 for each main layer. Returns the handles."""

    def keep(name):
        def hook(module, args, result):
            result = result[0] if isinstance(result, tuple) else result
            out[name] = result.detach()[0]

        return hook

    handles = []
    for i, layer in enumerate(model.main.model.layers):
        for part, module in (("attention", layer.self_attn), ("ffn", layer.mlp), ("output", layer)):
            handles.append(module.register_forward_hook(keep(f"trace.layer.{i}.{part}")))
    return handles


def first_pass(model, tokens):
    """Everything that one forward and backward of `tokens` gives."""
    out, batch = {"tokens": tokens}, len(tokens)
    model.zero_grad()
    handles = attach_traces(model, out)
    losses, logits, mtp = objective(model, tokens)
    for handle in handles:
        handle.remove()
    out["logits"] = logits.detach()
    out.update({f"mtp_logits.{k}": l.detach() for k, l in enumerate(mtp, 1)})
    out.update({name: value.detach() for name, value in losses.items()})
    loads = []
    for number, routing in sorted(model.routing.items()):
        k, experts = routing.ids.shape[1], routing.scores.shape[1]
        ids = routing.ids.view(batch, -1, k)
        out[f"routing.layer.{number}.experts"] = ids
        loads.append(torch.bincount(routing.ids.flatten(), minlength=experts).to(torch.float64))
        if number < model.layers:
            out[f"trace.layer.{number}.experts"] = ids[0].clone()
            out[f"trace.layer.{number}.gate_weights"] = routing.weights.detach().view(batch, -1, k)[0]
    if loads:
        out["loads"] = torch.stack(loads)
    with model.mode():
        losses["loss.total"].backward()
    out.update({f"grad.{name}": grad for name, grad in model.gradients().items()})
    return out


def packed_pass(model, row, document):
    """Sequence 0 again, every slot seeing its own document only; positions run on."""
    length = len(document)
    seen = (document[:, None] == document[None, :]) & torch.ones(length, length).tril().bool()
    mask = torch.zeros(length, length, dtype=model.dtype).masked_fill(~seen, torch.finfo(model.dtype).min)
    with torch.no_grad():
        logits, _ = model.forward(row[None, :length], mask[None, None])
    return {"packed.document": document, "packed.logits": logits}


def greedy_pass(model, prompt, count):
    """Plain greedy text without a cache. Returns the tensors, the nearest runner-up's distance, the least routing margin."""
    text, nearest, margin = prompt, float("inf"), float("inf")
    with torch.no_grad():
        for _ in range(count):
            best = model.forward(text)[0][0, -1].topk(2)
            nearest = min(nearest, (best.values[0] - best.values[1]).item())
            margin = min(margin, model.worst_margin())
            text = torch.cat([text, best.indices[:1][None]], 1)
    return {"greedy.prompt": prompt, "greedy.continuation": text[:, prompt.shape[1] :].clone()}, nearest, margin


FINAL = r"norm\.weight|kv_b_proj|bias$|mlp\.gate\.|eh_proj|embed_tokens|lm_head"


def steps_pass(model, tokens, clip):
    """Optimizer steps on tokens (steps, B, T + 1). Changes the model. Returns the tensors and the least routing margin."""
    entries = model.entries()
    parameters = list({id(e.tensor): e.tensor for e in entries if e.trainable}.values())
    # A stacked tensor of experts holds matrices, a bias or a gain is a vector: decay goes by the checkpoint's dimensions.
    moments = [(p, torch.zeros_like(p.data), torch.zeros_like(p.data)) for p in parameters]
    losses, norms, least = [], [], float("inf")
    for step, batch in enumerate(tokens, 1):
        model.zero_grad()
        terms, _, _ = objective(model, batch)
        with model.mode():
            terms["loss.total"].backward()
        least = min(least, model.worst_margin())
        losses.append(terms["loss.total"].detach())
        grads = [torch.zeros_like(p.data) if p.grad is None else p.grad for p in parameters]
        norm = torch.stack([g.square().sum() for g in grads]).sum().sqrt()
        norms.append(norm)
        scale = min(1.0, clip / (norm.item() + 1e-6))
        with torch.no_grad():
            for (p, m, v), g in zip(moments, grads):
                adamw(p.data, m, v, g * scale, step)
            for number, module in model.moe_layers():
                ids, bias = model.routing[number].ids, getattr(module.gate, "e_score_correction_bias", None)
                if bias is not None:
                    load = torch.bincount(ids.flatten(), minlength=len(bias)).to(bias.dtype)
                    bias += GAMMA * torch.sign(load.mean() - load)
    out = {"steps.tokens": tokens, "steps.losses": torch.stack(losses), "steps.grad_norms": torch.stack(norms)}
    moe = model.moe_layers()
    first = f"|model\\.layers\\.{moe[0][0]}\\.mlp\\.experts" if moe else ""
    for e in entries:
        if re.search(FINAL + first, e.name):
            out[f"steps.final.{e.name}"] = e.of(e.tensor.detach()).clone()
    return out, least


def adamw(p, m, v, g, step):
    if p.dim() >= 2:
        p *= 1 - LR * DECAY
    m.mul_(BETA1).add_(g, alpha=1 - BETA1)
    v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
    p -= LR * (m / (1 - BETA1**step)) / ((v / (1 - BETA2**step)).sqrt() + EPS)


def long_pass(model, tokens):
    with torch.no_grad():
        logits, _ = model.forward(tokens)
    return {"long.tokens": tokens, "long.last_logits": logits[:, -8:].clone()}


def relative_error(a, b):
    """Frobenius; absolute where the reference b is zero."""
    a, b = a.double(), b.double()
    norm = b.norm().item()
    return (a - b).norm().item() / (norm if norm > 0 else 1.0)


# How far neighbours' weights are moved: half a step of bf16; a whole step of float32, in which they are stored.
MOVED = {torch.bfloat16: 2.0**-9, torch.float32: 2.0**-23}


def neighbour(tensors, number, dtype):
    """The same model with every weight moved by a step of dtype or less: other roundings, nothing else."""
    rng = torch.Generator().manual_seed(number)
    moved = {}
    for name, t in sorted(tensors.items()):
        step = (2 * torch.rand(t.shape, generator=rng) - 1) * MOVED[dtype]
        moved[name] = t if name.endswith("e_score_correction_bias") else t.float() * (1 + step)
    return moved


def errors_of(dtype, folder, exact, tokens, neighbours=0):
    """How far PyTorch in dtype is from the float64 values, its routing forced from theirs: {name: error}.

    One model is a single throw of the dice for what few tokens reach (an expert with one token, a loss). With
    neighbours, the largest error among the model and so many neighbours, each against its own float64 values.
    """
    forced = {int(n.split(".")[2]): t.flatten(0, 1) for n, t in exact.items() if n.startswith("routing.")}
    kinds = ("logits", "mtp_logits", "loss", "grad", "trace")
    compared = [n for n, t in exact.items() if n.split(".")[0] in kinds and t.is_floating_point()]
    tensors, worst = read_tensors(folder), dict.fromkeys(compared, 0.0)
    for number in range(neighbours + 1):
        weights = neighbour(tensors, number, dtype) if number else tensors
        rough = Model(folder, dtype, weights)
        truth = Model(folder, torch.float64, weights)
        rough.forced = truth.forced = forced
        wanted = without_rounding(first_pass(truth, tokens)) if number else exact
        found = first_pass(rough, tokens)
        for n in compared:
            worst[n] = max(worst[n], relative_error(found[n], wanted[n]))
    return worst


def bf16_errors(folder, exact, tokens, neighbours=0):
    """PyTorch's errors in bf16 as tensors of a reference file."""
    worst = errors_of(torch.bfloat16, folder, exact, tokens, neighbours)
    return {f"bf16_error.{n}": torch.tensor(e, dtype=torch.float64) for n, e in worst.items()}


def stored(name, tensor):
    """Scalars and histories stay float64, the rest is float32 (integers as they are)."""
    double = name.startswith(("loss.", "bf16_error.")) or name in ("steps.losses", "steps.grad_norms")
    if tensor.is_floating_point() and not double:
        tensor = tensor.float()
    return tensor.contiguous().clone()


def without_rounding(out):
    """A gradient that is zero but for float64's own rounding (one slot has no attention to learn) becomes zero."""
    grads = {n: t for n, t in out.items() if n.startswith("grad.")}
    whole = torch.stack([t.norm() for t in grads.values()]).norm()
    return out | {n: torch.zeros_like(t) for n, t in grads.items() if t.norm() < 1e-13 * whole}


def make(folder, inputs, clip=1.0, bf16=False, neighbours=0, dtype=torch.float64):
    """inputs: tokens and, as wanted, packed.document, greedy.prompt + greedy.count, steps.tokens, long.tokens.

    Returns (tensors, facts); facts has the least routing margin of each section and the nearest greedy runner-up.
    """
    model = Model(folder, dtype)
    tokens, facts = inputs["tokens"], {}
    out = without_rounding(first_pass(model, tokens))
    facts["margin"] = model.worst_margin()
    if "packed.document" in inputs:
        out.update(packed_pass(model, tokens[0], inputs["packed.document"]))
        facts["packed_margin"] = model.worst_margin()
    if "greedy.prompt" in inputs:
        found, facts["greedy"], facts["greedy_margin"] = greedy_pass(model, inputs["greedy.prompt"], inputs["greedy.count"])
        out.update(found)
    if "long.tokens" in inputs:
        out.update(long_pass(model, inputs["long.tokens"]))
    if bf16:
        out.update(bf16_errors(folder, out, tokens, neighbours))
    if "steps.tokens" in inputs:
        found, facts["steps_margin"] = steps_pass(model, inputs["steps.tokens"], clip)
        out.update(found)
    return {name: stored(name, t) for name, t in out.items()}, facts


def inputs_like(path):
    with safe_open(path, "pt") as f:
        names = ("tokens", "packed.document", "greedy.prompt", "steps.tokens", "long.tokens")
        inputs = {n: f.get_tensor(n) for n in names if n in f.keys()}
        if "greedy.continuation" in f.keys():
            inputs["greedy.count"] = f.get_slice("greedy.continuation").get_shape()[1]
        return inputs, re.search(r"clip=([\d.]+)", f.metadata()["optimizer"]).group(1)


def draw_documents(length, rng):
    cuts = sorted(torch.randperm(length - 1, generator=rng)[:2].tolist()) if length > 3 else []
    return torch.tensor([sum(i > c for c in cuts) for i in range(length)])


def inputs_drawn(vocab, args):
    rng = torch.Generator().manual_seed(args.seed)
    tokens = torch.randint(0, vocab, (args.batch, args.length + 1), generator=rng)
    inputs = {"tokens": tokens, "packed.document": draw_documents(args.length, rng)}
    if args.greedy:
        inputs |= {"greedy.prompt": tokens[:1, : min(8, args.length)].clone(), "greedy.count": args.greedy}
    if args.steps:
        inputs["steps.tokens"] = torch.randint(0, vocab, (args.steps, *tokens.shape), generator=rng)
    if args.long:
        inputs["long.tokens"] = torch.randint(0, vocab, (1, args.long), generator=rng)
    return inputs, str(args.clip)


def compare(tensors, path):
    """Prints the largest error of each kind against a stored file; true if all names agree and nothing is far off."""
    worst, good = {}, True
    with safe_open(path, "pt") as f:
        names = {n for n in f.keys() if not n.startswith("bf16_error.")}
        mine = {n for n in tensors if not n.startswith("bf16_error.")}
        for name in sorted(names ^ mine):
            print(f"  only in {'the file' if name in names else 'this run'}: {name}")
            good = False
        for name in sorted(names & mine):
            kind = re.split(r"\.(?:layer|model|lm_head)", name)[0]
            error = relative_error(tensors[name], f.get_tensor(name))
            worst[kind] = max(worst.get(kind, (0.0, name)), (error, name))
    for kind, (error, name) in sorted(worst.items()):
        bound = 1e-3 if kind.startswith("long") else 1e-4 if "k_proj.bias" in name else 1e-6
        good &= error <= bound
        print(f"  {kind:22s} {error:9.2e}  {name}{'' if error <= bound else f'  above {bound:.0e}'}")
    return good


def write_errors(args):
    """The bf16 errors of a stored reference file, in a small file of their own: hadal-bf16-errors-1."""
    tokens = inputs_like(args.like)[0]["tokens"]
    exact = without_rounding(first_pass(Model(args.model, torch.float64), tokens))
    errors = bf16_errors(args.model, exact, tokens, args.neighbours)
    facts = {"format": "hadal-bf16-errors-1", "neighbours": str(args.neighbours), "torch": torch.__version__}
    save_file({"tokens": tokens, **errors}, args.out, facts)
    print(f"{args.out}: {len(errors)} errors, the largest {max(e.item() for e in errors.values()):.3f}")


def main():
    parser = argparse.ArgumentParser(description="Write a reference file of a model folder.")
    parser.add_argument("model")
    parser.add_argument("--out")
    parser.add_argument("--like", help="take the tokens of this reference file")
    parser.add_argument("--compare", action="store_true", help="compare with the file of --like")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--greedy", type=int, default=24)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--clip", default="1.0")
    parser.add_argument("--dtype", choices=("float64", "bfloat16"), default="float64")
    parser.add_argument("--neighbours", type=int, default=0, help="bf16 errors: the largest of so many models more")
    parser.add_argument("--errors-only", action="store_true", help="write the bf16 errors for FILE's tokens, nothing else")
    args = parser.parse_args()
    if (args.compare or args.errors_only) and not args.like:
        parser.error("--compare and --errors-only need --like FILE")
    torch.set_num_threads(1)
    if args.errors_only:
        write_errors(args)
        return
    vocab = Model(args.model).raw["vocab_size"]
    inputs, clip = inputs_like(args.like) if args.like else inputs_drawn(vocab, args)
    tensors, facts = make(args.model, inputs, float(clip), args.dtype == "bfloat16", args.neighbours)
    print(f"{args.model}: {len(tensors)} tensors, " + ", ".join(f"{k} {v:.1e}" for k, v in facts.items()))
    if args.out:
        save_file(tensors, args.out, metadata(clip))
    if args.compare and not compare(tensors, args.like):
        sys.exit(1)


if __name__ == "__main__":
    main()
