"""A model of transformers, run in float64 (or bfloat16), with routing recorded or forced.

The code that computes is transformers' own. It pins some steps to float32 (norms, softmax, gate, RoPE tables); `InDouble`
turns those into float64, so that a float64 run is float64 throughout. Where transformers leaves SPEC.md, docs/oracle.md
says so and this file patches it.
"""

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_layers import MtpModel
from transformers.utils import logging

logging.set_verbosity_error()  # drawn RoPE scalings make it warn at every load
logging.disable_progress_bar()
FAMILIES = ("deepseek_v3", "deepseek_v2", "qwen2", "llama")


class OddSizes(TorchFunctionMode):
    """Lets transformers' V2 RoPE take odd sizes: view_as_complex refuses the strides and the offset of a slice of an odd-sized row."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.view_as_complex:
            args = [args[0].clone(memory_format=torch.contiguous_format)]  # contiguous() keeps the offset of a single row
        return func(*args, **(kwargs or {}))


class InDouble(OddSizes):
    """Every explicit float32 in the code that runs under it means float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        args = [torch.float64 if a is torch.float32 else a for a in args]
        kwargs = {k: torch.float64 if v is torch.float32 else v for k, v in (kwargs or {}).items()}
        return super().__torch_function__(func, types, args, kwargs)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@dataclass
class Entry:
    """A tensor of the checkpoint: the whole of a module's tensor, or one expert's part of a stacked one."""

    name: str
    tensor: torch.Tensor
    index: tuple | None
    trainable: bool

    def of(self, tensor):
        return tensor if self.index is None else tensor[self.index]


@dataclass
class Routing:
    """What one MoE layer did. scores (N, E) keep their graph; ids (N, k) rise; weights (N, k) go with ids."""

    scores: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor
    margin: float


def split_experts(name, tensor):
    """transformers stacks the experts of a layer; the checkpoint has three matrices for each."""
    match = re.fullmatch(r"(.*\.mlp\.experts)\.(gate_up_proj|down_proj)", name)
    if not match:
        yield name, None
        return
    prefix, kind = match.groups()
    half = tensor.shape[1] // 2
    for e in range(tensor.shape[0]):
        if kind == "down_proj":
            yield f"{prefix}.{e}.down_proj.weight", (e,)
        else:
            yield f"{prefix}.{e}.gate_proj.weight", (e, slice(0, half))
            yield f"{prefix}.{e}.up_proj.weight", (e, slice(half, None))


def mtp_checkpoint_name(name, layers):
    """layers.K.… of MtpModel is model.layers.(n + K).… of the checkpoint."""
    k, rest = re.fullmatch(r"layers\.(\d+)\.(.*)", name).groups()
    rest = rest.removeprefix("mtp_block.").replace("post_norm.", "shared_head.norm.")
    return f"model.layers.{layers + int(k)}.{rest}"


def read_tensors(folder):
    tensors = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        if file.name == "reference.safetensors":
            continue
        with safe_open(file, "pt") as f:
            tensors.update({name: f.get_tensor(name) for name in f.keys()})
    return tensors


def respect_moe_layer_freq(model, raw):
    """transformers makes every layer from first_k_dense_replace on an MoE layer (SPEC 4.3: idx % freq == 0 too)."""
    for i, layer in enumerate(model.model.layers):
        if hasattr(layer.mlp, "experts") and i % raw.get("moe_layer_freq", 1):
            layer.mlp = type(layer.mlp.shared_experts)(model.config)


class Model:
    """tensors: name -> tensor instead of those in the folder; None for an empty model (shapes only)."""

    def __init__(self, folder, dtype=torch.float64, tensors="folder"):
        raw = json.loads((Path(folder) / "config.json").read_text())
        if raw["model_type"] not in FAMILIES:
            raise SystemExit(f"{folder}: model_type {raw['model_type']!r}, expected one of {', '.join(FAMILIES)}")
        if "quantization_config" in raw:
            raise SystemExit(f"{folder}: quantised weights have no gradients; dequantise first")
        self.raw, self.dtype = raw, dtype
        self.config = AutoConfig.from_pretrained(folder)
        self.mode = InDouble if dtype == torch.float64 else OddSizes
        self.depth = raw.get("num_nextn_predict_layers") or 0 if raw["model_type"] == "deepseek_v3" else 0
        self.layers = raw["num_hidden_layers"]
        self.forced = None  # layer -> ids (N, k)
        self.routing = {}  # layer -> Routing of the last forward
        self._build()
        if tensors is not None:
            self._load(read_tensors(folder) if tensors == "folder" else dict(tensors))
        if dtype != torch.float64:
            self._lower(dtype)
        self._watch_gates()

    # ---- construction
    def _build(self):
        build = torch.float64 if self.dtype == torch.float64 else torch.float32
        with default_dtype(build), self.mode():
            self.main = AutoModelForCausalLM.from_config(self.config, dtype=build, attn_implementation="eager")
            respect_moe_layer_freq(self.main, self.raw)
            self.mtp = MtpModel(self.main, self.depth) if self.depth else None
        for part in filter(None, (self.main, self.mtp)):
            part.config._attn_implementation = "eager"
            part.config._experts_implementation = "eager"
            part.train()

    def entries(self):
        """Every tensor of the checkpoint once (tied and shared ones under the main model's name)."""
        named = [(n, t, True) for n, t in self.main.named_parameters()]
        buffers = [(n, t, False) for n, t in self.main.named_buffers() if n.endswith("e_score_correction_bias")]
        if self.mtp:
            shared = {id(t) for _, t, _ in named}
            for n, t in self.mtp.named_parameters():
                if id(t) not in shared:
                    named.append((mtp_checkpoint_name(n, self.layers), t, True))
            for n, t in self.mtp.named_buffers():
                if n.endswith("e_score_correction_bias"):
                    buffers.append((mtp_checkpoint_name(n, self.layers), t, False))
        return [Entry(n, t, i, train) for name, t, train in named + buffers for n, i in split_experts(name, t)]

    def _load(self, tensors):
        for entry in self.entries():
            if entry.name not in tensors:
                raise SystemExit(f"checkpoint: {entry.name} is missing")
            source, target = tensors.pop(entry.name), entry.of(entry.tensor.data)
            if source.shape != target.shape:
                raise SystemExit(f"checkpoint: {entry.name} is {tuple(source.shape)}, expected {tuple(target.shape)}")
            target.copy_(source)
        copies = ("embed_tokens.weight", "shared_head.head.weight", "lm_head.weight", "rotary_emb.inv_freq")
        strangers = [name for name in tensors if not name.endswith(copies)]
        if strangers:
            raise SystemExit(f"checkpoint: {strangers[0]} belongs to no module ({len(strangers)} such tensors)")

    def _lower(self, dtype):
        """As from_pretrained(dtype=…): gates and their bias stay in float32, RoPE tables too."""
        for part in filter(None, (self.main, self.mtp)):
            for name, parameter in part.named_parameters():
                if not name.endswith("mlp.gate.weight"):
                    parameter.data = parameter.data.to(dtype)

    # ---- routing
    def moe_layers(self):
        """[(layer number, module)], MTP modules as layers n, n + 1, …"""
        found = [(i, layer.mlp) for i, layer in enumerate(self.main.model.layers) if hasattr(layer.mlp, "experts")]
        if self.mtp:
            found += [(self.layers + k, layer.mtp_block.mlp) for k, layer in enumerate(self.mtp.layers)]
        return found

    def _watch_gates(self):
        for number, module in self.moe_layers():
            module.gate.forward = self._gate_forward(number, module.gate, module.gate.forward)

    def _gate_forward(self, number, gate, original):
        def forward(hidden):
            logits, weights, ids = original(hidden)
            scores = self.scores(logits)
            weights = weights if self._gate_is_right() else self.gate_weights(scores, ids)
            if self.forced is not None:
                ids = self.forced[number]
                weights = self.gate_weights(scores, ids)
            ids, order = ids.sort(-1)
            weights = weights.gather(1, order)
            bias = getattr(gate, "e_score_correction_bias", None)
            self.routing[number] = Routing(scores, ids, weights, self.margin(scores.detach(), bias))
            return logits, weights, ids

        return forward

    def _gate_is_right(self):
        """transformers' V2 gate has no normalisation (SPEC 2.1: it takes the place of the scaling)."""
        return not (self.raw["model_type"] == "deepseek_v2" and self.raw.get("norm_topk_prob"))

    def scores(self, logits):
        return logits.softmax(-1) if self.raw["model_type"] == "deepseek_v2" else logits.sigmoid()

    def gate_weights(self, scores, ids):
        weights = scores.gather(1, ids)
        normalise, factor = self.raw.get("norm_topk_prob"), self.raw.get("routed_scaling_factor", 1.0)
        if normalise:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return weights if normalise and self.raw["model_type"] == "deepseek_v2" else weights * factor

    def margin(self, scores, bias):
        """How far the nearest choice of a group or an expert is from going the other way."""
        v3, k = self.raw["model_type"] == "deepseek_v3", self.raw["num_experts_per_tok"]
        choice = scores + bias if v3 else scores
        least = float("inf")
        groups, kept = self.raw.get("n_group") or 1, self.raw.get("topk_group") or 1
        if groups > kept and self.raw.get("topk_method") != "greedy":
            grouped = choice.view(len(choice), groups, -1)
            value = grouped.topk(2, -1)[0].sum(-1) if v3 else grouped.amax(-1)
            ordered, order = value.sort(-1, descending=True)
            least = min(least, (ordered[:, kept - 1] - ordered[:, kept]).min().item())
            mask = torch.zeros_like(value).scatter(1, order[:, :kept], 1.0).bool()
            choice = grouped.masked_fill(~mask[..., None], float("-inf")).flatten(1)
        ordered = choice.sort(-1, descending=True)[0]
        if k < ordered.shape[1]:
            least = min(least, (ordered[:, k - 1] - ordered[:, k]).min().item())
        return least

    def worst_margin(self):
        return min((r.margin for r in self.routing.values()), default=float("inf"))

    # ---- running
    def forward(self, inputs, mask=None):
        """(logits, hidden after the final norm). inputs (B, T); mask: additive (1, 1, T, T) or None (causal)."""
        self.routing = {}
        with self.mode():
            hidden = self.main.model(input_ids=inputs, attention_mask=mask, use_cache=False).last_hidden_state
            return self.main.lm_head(hidden), hidden

    def forward_mtp(self, inputs, hidden):
        """Logits of each module; module k, slot i: hidden i and token i + k (SPEC 3.1)."""
        out, length = [], inputs.shape[1]
        with self.mode():
            for k in range(1, self.depth + 1):
                slots = length - k
                positions = torch.arange(slots)[None]
                hidden = self.mtp.forward_layer(k - 1, hidden[:, :slots], positions, None, input_ids=inputs[:, k:])
                out.append(self.main.lm_head(hidden))
        return out

    def zero_grad(self):
        for part in filter(None, (self.main, self.mtp)):
            part.zero_grad(set_to_none=True)

    def gradients(self):
        """Name -> gradient, zero for what the loss did not reach."""
        out = {}
        for entry in self.entries():
            if entry.trainable:
                grad = entry.tensor.grad
                out[entry.name] = entry.of(torch.zeros_like(entry.tensor) if grad is None else grad).clone()
        return out
