"""Random configurations and weights for the living oracle. Everything follows from one random.Random."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

FAMILIES = {"deepseek_v3": 8, "deepseek_v2": 4, "qwen2": 3, "llama": 3}
ARCHITECTURES = {
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "deepseek_v2": "DeepseekV2ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "llama": "LlamaForCausalLM",
}


def one_of(rng, **weighted):
    return rng.choices(list(weighted), list(weighted.values()))[0]


def yarn(rng):
    original = rng.choice([16, 64, 512, 4096])
    scaling = {
        "type": "yarn",
        "factor": rng.choice([40, 4, 1.5, 8.0, 128]),
        "original_max_position_embeddings": original,
        "beta_fast": rng.choice([32, 32, 16, 8.0]),
        "beta_slow": rng.choice([1, 1, 2]),
    }
    kind = one_of(rng, equal=3, low=2, unequal=1, absent=1)
    if kind != "absent":  # absent: cos and sin carry the factor, the softmax scale does not
        mscale = {"equal": 1.0, "low": 0.707, "unequal": 0.8}[kind]
        scaling |= {"mscale": mscale, "mscale_all_dim": 1.0 if kind == "unequal" else mscale}
    return scaling, max(256, int(scaling["factor"] * original))


def llama3(rng):
    low = rng.choice([1.0, 1.0, 0.5])
    scaling = {
        "rope_type": "llama3",
        "factor": rng.choice([8.0, 32.0, 2.0]),
        "low_freq_factor": low,
        "high_freq_factor": low * rng.choice([4.0, 3.0]),
        "original_max_position_embeddings": rng.choice([8192, 256, 32]),
    }
    return scaling, 131072


def common(rng, family, small):
    heads = rng.choice([1, 2, 3, 4, 5, 8] if small else [1, 2, 4, 7, 16, 40])
    hidden = rng.choice([32, 41, 48, 61, 64, 67, 80, 101, 128] if small else [256, 509, 1024, 2048, 5120, 7168])
    if family != "deepseek_v3":  # the others are refused by transformers unless heads divide hidden
        hidden = max(heads, hidden - hidden % heads)
    vocab = rng.choice([17, 64, 127, 200, 256, 399] if small else [1000, 32003, 102400, 129280])
    return {
        "architectures": [ARCHITECTURES[family]],
        "model_type": family,
        "vocab_size": vocab,
        "hidden_size": hidden,
        "num_hidden_layers": rng.choice([1, 2, 2, 3, 4] if small else [1, 3, 5, 8]),
        "num_attention_heads": heads,
        "intermediate_size": rng.choice([8, 37, 64, 104, 160] if small else [352, 1001, 10944, 18432]),
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "rms_norm_eps": rng.choice([1e-6, 1e-5]),
        "rope_theta": rng.choice([10000, 50000.0, 500000.0, 100.0]),
        "max_position_embeddings": 8192,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
    }


def add_mla(rng, config, small):
    config |= {
        "num_key_value_heads": config["num_attention_heads"],
        "q_lora_rank": rng.choice([None, None, 5, 24, 40] if small else [None, 77, 1536]),
        "kv_lora_rank": rng.choice([4, 16, 31, 32, 48] if small else [64, 300, 512]),
        "qk_nope_head_dim": rng.choice([1, 8, 13, 16, 24] if small else [16, 100, 128]),
        "qk_rope_head_dim": rng.choice([2, 4, 8, 10, 16] if small else [16, 64]),
        "v_head_dim": rng.choice([1, 7, 12, 16, 24] if small else [32, 128]),
        "attention_bias": False,
        "rope_scaling": None,
    }
    if rng.random() < 0.6:
        config["rope_scaling"], config["max_position_embeddings"] = yarn(rng)


def add_moe(rng, config, small):
    v3 = config["model_type"] == "deepseek_v3"
    groups = rng.choice([1, 1, 2, 3, 4, 8])
    experts = groups * rng.choice([2, 3, 4, 5] if small else [2, 8, 32])
    if groups == 1:
        experts = rng.choice([2, 3, 7, 8, 13, 16] if small else [4, 64, 160])
    kept = rng.randint(1, groups)
    most = kept * (experts // groups)
    layers = config["num_hidden_layers"]
    config |= {
        "n_routed_experts": experts,
        "n_shared_experts": rng.choice([1, 1, 2, 3]),
        "num_experts_per_tok": min(most, rng.choice([1, 2, 3, 4, 6, 8])),
        "moe_intermediate_size": rng.choice([1, 8, 17, 24, 32] if small else [64, 200, 1408]),
        "n_group": groups,
        "topk_group": kept,
        "topk_method": "noaux_tc" if v3 else "greedy" if groups == 1 else "group_limited_greedy",
        "scoring_func": "sigmoid" if v3 else "softmax",
        "norm_topk_prob": rng.random() < (0.8 if v3 else 0.2),
        "routed_scaling_factor": rng.choice([1.0, 2.5, 2.446] if v3 else [1.0, 1.0, 4.0, 16.0]),
        "first_k_dense_replace": rng.choice([0, 1, 1, 1, 2, layers] if layers > 1 else [0, 0, 0, 0, 1]),
        "moe_layer_freq": rng.choice([1] * 8 + [2, 3]),
    }
    if v3:
        config["num_nextn_predict_layers"] = rng.choice([0, 0, 1, 1, 2, 3])


def add_gqa(rng, config, small):
    heads = config["num_attention_heads"]
    config["num_key_value_heads"] = rng.choice([n for n in range(1, heads + 1) if heads % n == 0])
    width = config["hidden_size"] // heads
    if config["model_type"] == "llama":
        config |= {"attention_bias": False, "mlp_bias": False}
        if rng.random() < 0.5 or width % 2:
            config["head_dim"] = rng.choice([2, 6, 8, 16, 22, 32] if small else [64, 128])
        if rng.random() < 0.6:
            config["rope_scaling"], config["max_position_embeddings"] = llama3(rng)
    else:
        config["use_sliding_window"] = False
        config["hidden_size"] = heads * max(2, width - width % 2)  # rotary halves
    config["tie_word_embeddings"] = rng.random() < 0.5


def draw_config(rng, small=True):
    """A config.json of one of the families. small: sizes for a comparison; otherwise for counting parameters only."""
    family = one_of(rng, **FAMILIES)
    config = common(rng, family, small)
    if family.startswith("deepseek"):
        add_mla(rng, config, small)
        add_moe(rng, config, small)
    else:
        add_gqa(rng, config, small)
    return config


def draw_tensor(name, shape, style, generator):
    """Gains near 1, matrices that keep the scale of what they multiply, gate biases of the drawn kind."""
    noise = torch.randn(shape, generator=generator)
    if name.endswith("e_score_correction_bias"):
        return noise * 0.15 + style["bias"]
    if name.endswith("bias"):
        return noise * 0.3
    if len(shape) == 1:
        return 1 + 0.2 * noise
    if name.endswith("embed_tokens.weight"):
        return noise * style["embedding"]
    gain = 1.5 if name.endswith("mlp.gate.weight") else 1.2
    return noise * gain * shape[-1] ** -0.5


def draw_style(rng, config):
    embedding = 0.15 if config["tie_word_embeddings"] else rng.choice([1.0, 1.0, 0.3, 0.02])
    return {"bias": rng.choice([0.0, 0.0, -1.0, 2.0]), "embedding": embedding}


def write_config(folder, config):
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_tensors(folder, tensors, rng):
    """One file, or two with an index."""
    names = sorted(tensors)
    if len(names) < 2 or rng.random() < 0.7:
        save_file(tensors, Path(folder) / "model.safetensors", {"format": "pt"})
        return
    where = {name: f"model-0000{rng.randint(1, 2)}-of-00002.safetensors" for name in names[2:]}
    where |= {names[0]: "model-00001-of-00002.safetensors", names[1]: "model-00002-of-00002.safetensors"}
    for file in sorted(set(where.values())):
        save_file({n: tensors[n] for n in names if where[n] == file}, Path(folder) / file, {"format": "pt"})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": where}
    (Path(folder) / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def draw_weights(rng, config, shapes):
    """shapes: name -> shape, as the checkpoint has them. Returns the tensors, in float32."""
    style, generator = draw_style(rng, config), torch.Generator().manual_seed(rng.getrandbits(48))
    tensors = {n: draw_tensor(n, s, style, generator) for n, s in sorted(shapes.items())}
    if config.get("num_nextn_predict_layers") and rng.random() < 0.5:  # released files hold copies of the shared two
        for k in range(config["num_nextn_predict_layers"]):
            prefix = f"model.layers.{config['num_hidden_layers'] + k}"
            tensors[f"{prefix}.embed_tokens.weight"] = tensors["model.embed_tokens.weight"].clone()
            tensors[f"{prefix}.shared_head.head.weight"] = tensors["lm_head.weight"].clone()
    return tensors


def draw_sizes(rng, config):
    """(batch, length); a sequence holds at least one slot for every MTP module."""
    least = 1 + config.get("num_nextn_predict_layers", 0)
    length = max(least, rng.choice([1, 2, 3, 5, 8, 16, 17, 24, 31, 32, 40, 64]))
    return rng.choice([1, 1, 2, 2, 3, 5] if length <= 32 else [1, 2]), length
