"""Checks of the living oracle beside `verify`: parameter counts, and what transformers makes of hadal's exports."""

import json
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_layers import MtpModel

import oracle_draw as draw
import reference
from oracle_torch import Model, OddSizes, read_tensors, respect_moe_layer_freq

# What the export's config.json must still say, as transformers reads it.
KEPT = (
    "vocab_size hidden_size num_hidden_layers num_attention_heads num_key_value_heads intermediate_size rms_norm_eps "
    "rope_parameters max_position_embeddings tie_word_embeddings bos_token_id eos_token_id q_lora_rank kv_lora_rank "
    "qk_nope_head_dim qk_rope_head_dim v_head_dim n_routed_experts n_shared_experts num_experts_per_tok n_group "
    "topk_group topk_method norm_topk_prob routed_scaling_factor first_k_dense_replace moe_layer_freq "
    "moe_intermediate_size num_nextn_predict_layers scoring_func head_dim"
).split()


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


# ---- parameter counts
def count_parameters(folder):
    """(main model, MTP without the shared tensors) as transformers builds them, gate biases included."""
    raw, config = json.loads((Path(folder) / "config.json").read_text()), AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        main = AutoModelForCausalLM.from_config(config)
        respect_moe_layer_freq(main, raw)
        depth = raw.get("num_nextn_predict_layers") or 0
        mtp = MtpModel(main, depth) if depth else None

    def total(module):
        unique = {id(p): p.numel() for p in module.parameters()}
        return sum(unique.values()) + sum(
            b.numel() for n, b in module.named_buffers() if n.endswith("e_score_correction_bias")
        )

    return total(main), total(mtp.layers) if mtp else 0


def check_counts(hadal, seed, count):
    """Compares `hadal inspect` with transformers' meta device. Returns the lines that tell of a difference."""
    wrong = []
    for i in range(count):
        rng = random.Random(f"{seed}.count.{i}")
        config = draw.draw_config(rng, small=rng.random() < 0.3)
        with tempfile.TemporaryDirectory() as folder:
            draw.write_config(folder, config)
            expected = count_parameters(folder)
            try:
                said = json.loads(run([hadal, "inspect", folder, "--json"]))
                found = (said["parameters"], said["mtp_parameters"])
            except (RuntimeError, ValueError, KeyError) as error:
                wrong.append(f"count {seed}.count.{i}: {error!r}; config {json.dumps(config)}")
                continue
            if found != expected:
                wrong.append(f"count {seed}.count.{i}: {found}, transformers {expected}; config {json.dumps(config)}")
    return wrong


# ---- exports
def same_tensors(source, export, dtype, config):
    """Lines about tensors that are missing, too many or changed. bf16: rounded, gate biases left alone."""
    wrong = []
    names = {f"model.layers.{config['num_hidden_layers'] + k}" for k in range(config.get("num_nextn_predict_layers", 0))}
    copies = {f"{n}.embed_tokens.weight": "model.embed_tokens.weight" for n in names}
    copies |= {f"{n}.shared_head.head.weight": "lm_head.weight" for n in names}
    if config["tie_word_embeddings"]:
        copies["lm_head.weight"] = "model.embed_tokens.weight"
    for name in sorted(set(source) - set(export) - set(copies)):
        wrong.append(f"{name} is missing")
    for name in sorted(export):
        original = source.get(name, source.get(copies.get(name, "")))
        if original is None:
            wrong.append(f"{name} is not in the source")
            continue
        if dtype == "f32" or name.endswith("e_score_correction_bias"):
            allowed = [original]
        else:  # a gate may stay in f32, as transformers keeps it
            allowed = [original.bfloat16()] + [original] * name.endswith("mlp.gate.weight")
        if not any(a.dtype == export[name].dtype and torch.equal(a, export[name]) for a in allowed):
            wrong.append(f"{name} ({export[name].dtype}) differs from the source")
    return wrong


def load_in_transformers(folder, config):
    """from_pretrained of the model and its MTP modules: (logits of a text, complaints)."""
    first, depth = config["num_hidden_layers"], config.get("num_nextn_predict_layers", 0)
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", output_loading_info=True
    )
    layers = tuple(f"model.layers.{first + k}." for k in range(depth))
    wrong = [f"transformers misses {n}" for n in info["missing_keys"]]
    wrong += [f"transformers does not expect {n}" for n in info["unexpected_keys"] if not n.startswith(layers)]
    wrong += [f"transformers finds another shape: {n}" for n in info["mismatched_keys"]]
    if depth:
        # It knows layer 61 only; the pattern names the layers that follow the last one of this model.
        model._keys_to_ignore_on_load_unexpected = [rf"model\.layers\.{first + k}\." for k in range(depth)]
        mtp = MtpModel.from_pretrained(model)
        ours = Model(folder, torch.float32)
        for (n, a), (_, b) in zip(mtp.layers.named_parameters(), ours.mtp.layers.named_parameters()):
            if not torch.equal(a.float(), b.float()):
                wrong.append(f"MtpModel loads another {n}")
    return model, wrong


def check_export(hadal, folder, config, tokens, dtype):
    """`hadal convert` of a model: tensors, config and logits in transformers. Returns the complaints."""
    target = Path(tempfile.mkdtemp(prefix="hadal-export-"))
    try:
        run([hadal, "convert", str(folder), str(target / "model"), "--dtype", dtype])
        target = target / "model"
        source, export = read_tensors(folder), read_tensors(target)
        wrong = same_tensors(source, export, dtype, config)
        before, after = AutoConfig.from_pretrained(folder).to_dict(), AutoConfig.from_pretrained(target).to_dict()
        for key in KEPT:
            if key in before and before[key] != after.get(key):
                wrong.append(f"config.json: {key} was {before[key]!r}, is {after.get(key)!r}")
        if wrong or config.get("moe_layer_freq", 1) != 1:  # transformers' loader knows no moe_layer_freq
            return wrong
        model, wrong = load_in_transformers(target, config)
        with torch.no_grad(), OddSizes():
            logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
            rounded = {n: t.float() for n, t in export.items()}
            expected = Model(folder, torch.float32, rounded).forward(tokens[:, :-1])[0]
        v2_normalised = config["model_type"] == "deepseek_v2" and config["norm_topk_prob"]
        error = reference.relative_error(logits, expected)
        if error > 1e-5 and not v2_normalised:
            wrong.append(f"logits in transformers differ by {error:.1e}")
        return wrong
    except (RuntimeError, ValueError, OSError, SystemExit) as error:
        return [str(error)]
    finally:
        shutil.rmtree(target if target.name != "model" else target.parent, ignore_errors=True)
