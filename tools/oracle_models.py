"""Draws one random model, writes its folder and reference file, and replays it with `hadal verify`."""

import functools
import json
import random
import subprocess
from dataclasses import dataclass, field

import torch
from safetensors.torch import load_file, save_file

import oracle_draw as draw
import reference
from oracle_torch import Model

ROUTING, FOLLOW_UP, RUNNER_UP = 1e-4, 3e-5, 2e-3  # least margins: first pass; packed, greedy, steps; greedy logits
NEIGHBOURS, MORE_NEIGHBOURS = 8, 64  # samples behind PyTorch's errors; one alone is too few for "1.5 x"
# verify's own bounds; a model on which PyTorch's float32 uses a quarter of one measures conditioning, not hadal
BOUNDS = {"logits": 1e-5, "mtp_logits": 1e-5, "loss": 1e-5, "packed": 1e-5, "grad": 1e-4, "steps": 1e-4, "trace": 1e-5}


@dataclass
class Drawn:
    name: str  # seed and number, enough to draw it again
    folder: str
    config: dict
    inputs: dict
    clip: str
    redrawn: int = 0  # a routing decision too near a tie
    unsteady: int = 0  # PyTorch's float32 itself is too far from float64
    sections: list = field(default_factory=list)

    def describe(self):
        c, batch = self.config, self.inputs["tokens"].shape[0]
        text = f"{c['model_type']} d={c['hidden_size']} L={c['num_hidden_layers']} H={c['num_attention_heads']}"
        if "kv_lora_rank" in c:
            q = c["q_lora_rank"] or "-"
            text += f" q={q} kv={c['kv_lora_rank']} {c['qk_nope_head_dim']}/{c['qk_rope_head_dim']}/{c['v_head_dim']}"
            text += f" E={c['n_routed_experts']}/{c['num_experts_per_tok']} g={c['n_group']}/{c['topk_group']}"
            text += f" D={c.get('num_nextn_predict_layers', 0)}"
        else:
            text += f" KV={c['num_key_value_heads']} tied={int(c['tie_word_embeddings'])}"
        scaling = c.get("rope_scaling")
        text += f" {scaling.get('type') or scaling['rope_type']}" if scaling else ""
        return f"{text} B={batch} T={self.inputs['tokens'].shape[1] - 1} [{' '.join(self.sections)}]"


def steady(exact, rough, prefixes):
    """Whether PyTorch in float32 stays within a quarter of verify's bounds."""
    for name, value in exact.items():
        kind = name.split(".")[0]
        if kind in prefixes and kind in BOUNDS and value.is_floating_point():
            if reference.relative_error(rough[name], value) > BOUNDS[kind] / 4:
                return False
        if kind in prefixes and not value.is_floating_point() and not torch.equal(rough[name], value):
            return False
    return True


def draw_inputs(rng, config, batch, length):
    generator, vocab = torch.Generator().manual_seed(rng.getrandbits(48)), config["vocab_size"]
    inputs = {"tokens": torch.randint(0, vocab, (batch, length + 1), generator=generator)}
    if length >= 4:
        inputs["packed.document"] = reference.draw_documents(length, generator)
    if rng.random() < 0.3:
        inputs |= {"greedy.prompt": inputs["tokens"][:1, : min(8, length)].clone(), "greedy.count": 12}
    if length >= 8 and rng.random() < 0.3:
        inputs["steps.tokens"] = torch.randint(0, vocab, (10, batch, length + 1), generator=generator)
    return inputs


def fresh_weights(rng, config, folder):
    shapes = {e.name: tuple(e.of(e.tensor).shape) for e in Model(folder, tensors=None).entries()}
    draw.write_tensors(folder, draw.draw_weights(rng, config, shapes), rng)


def drop(inputs, tensors, section):
    for held in (inputs, tensors):
        for name in [n for n in held if n.startswith(section + ".")]:
            del held[name]


def drop_close_calls(inputs, tensors, rough, facts):
    """Leaves out the later sections in which a routing or a greedy choice is nearly a tie, or float32 is unsteady."""
    for section in ("packed", "greedy", "steps"):
        near = facts.get(f"{section}_margin", 1.0) < FOLLOW_UP
        near |= section == "greedy" and facts.get("greedy", 1.0) < RUNNER_UP
        if near or not steady({n: t for n, t in tensors.items() if n.startswith(section)}, rough, (section,)):
            drop(inputs, tensors, section)


def other_order(folder, inputs, clip):
    """float32 on two threads, which sums in another order: ten steps can part on an error that one order hits by luck."""
    torch.set_num_threads(2)
    try:
        return reference.make(folder, inputs, clip, dtype=torch.float32)[0]
    finally:
        torch.set_num_threads(1)


def draw_model(seed, number, folder, bf16=False):
    """A model and its reference file in `folder`; drawn again until no routing decision of `tokens` is near a tie."""
    name = f"{seed}.{number}"
    rng, clip = random.Random(name), "1.0"
    config, drawn = draw.draw_config(rng), None
    counts = {"redrawn": 0, "unsteady": 0}
    while drawn is None:
        for old in folder.glob("*"):
            old.unlink()
        if sum(counts.values()) % 20 == 19:  # some shapes cannot be had without near ties
            config = draw.draw_config(rng)
        draw.write_config(folder, config)
        batch, length = draw.draw_sizes(rng, config)
        inputs = draw_inputs(rng, config, batch, length)
        fresh_weights(rng, config, folder)
        first = {"tokens": inputs["tokens"]}
        if reference.make(folder, first)[1]["margin"] < ROUTING:
            counts["redrawn"] += 1
            continue
        tensors, facts = reference.make(folder, inputs, float(clip), bf16, NEIGHBOURS)
        rough, _ = reference.make(folder, inputs, float(clip), dtype=torch.float32)
        if not steady(tensors, rough, ("logits", "mtp_logits", "loss", "grad", "trace", "routing")):
            counts["unsteady"] += 1
            continue
        drop_close_calls(inputs, tensors, rough, facts)
        if "steps.tokens" in inputs and not steady(tensors, other_order(folder, inputs, float(clip)), ("steps",)):
            drop(inputs, tensors, "steps")
        save_file(tensors, folder / "reference.safetensors", reference.metadata(clip))
        drawn = Drawn(name, str(folder), config, inputs, clip, **counts)
    drawn.sections = sorted({n.split(".")[0] for n in tensors} & {"packed", "greedy", "steps"})
    return drawn


def exact_values(folder):
    """The reference file without PyTorch's errors in bf16."""
    tensors = load_file(folder / "reference.safetensors")
    return {n: t for n, t in tensors.items() if not n.startswith("bf16_error.")}


def resample_bf16(folder):
    """Writes the reference file again with PyTorch's bf16 errors from many more neighbours of the model."""
    exact = exact_values(folder)
    errors = reference.bf16_errors(folder, exact, exact["tokens"], MORE_NEIGHBOURS)
    save_file(exact | errors, folder / "reference.safetensors", reference.metadata("1.0"))


@functools.cache  # both forms of a model may ask, ten seconds each
def float32_errors(folder):
    exact = exact_values(folder)
    return reference.errors_of(torch.float32, folder, exact, exact["tokens"], MORE_NEIGHBOURS)


def as_unsteady_in_torch(folder, failed):
    """Whether PyTorch's float32 has these errors, too: rows of verify, {name: error}.

    `steady` looks at one throw of the dice; the gradient of one number that nearly cancels can be near by luck.
    """
    torch_errors = float32_errors(folder)
    return all(name in torch_errors and error <= 1.5 * torch_errors[name] for name, error in failed.items())


def verify(hadal, folder, *options):
    """(passed, short text, long text, {row that failed: its error}) of `hadal verify`."""
    command = [hadal, "verify", str(folder), "--reference", f"{folder}/reference.safetensors", "--json", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return False, "no answer in 300 s", " ".join(command), {}
    try:
        rows = json.loads(done.stdout)["rows"]
        failed = [r for r in rows if not r["ok"]]
        share = max((r["error"] / r["bound"] for r in rows if r["bound"]), default=0.0)
    except (ValueError, KeyError, TypeError):
        text = (done.stderr or done.stdout).strip()
        return False, f"unreadable answer, exit {done.returncode}", f"{' '.join(command)}\n{text[-2000:]}", {}
    if done.returncode == 0 and rows and not failed:
        return True, f"{share:.2f}", "", {}
    lines = [f"  {r['tensor']}: error {r['error']}, bound {r['bound']} {r.get('note', '')}" for r in failed[:12]]
    text = "\n".join([" ".join(command), f"  exit {done.returncode}, {len(failed)} of {len(rows)} rows failed", *lines])
    return False, "FAILED", text, {r["tensor"]: r["error"] for r in failed}
