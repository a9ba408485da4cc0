// What a recipe's keys are, mean, and decide.
#include <algorithm>

#include "base/error.h"
#include "train/recipe.h"

namespace hadal::train {

nn::Recompute recompute_of(const Recipe& r) {
  return r.train.recompute == "blocks"      ? nn::Recompute::blocks
         : r.train.recompute == "selective" ? nn::Recompute::selective
                                            : nn::Recompute::none;
}

DType compute_type(std::string_view name) {
  if (name == "fp8") return DType::f8_e4m3;
  if (name != "f32" && name != "bf16") fail("unknown compute type '{}': it must be one of f32, bf16, fp8", name);
  return dtype_from_name(name);
}

std::int64_t rows_multiple(const Recipe& r) {
  if (r.train.rows_multiple > 0) return r.train.rows_multiple;
  return std::max<std::int64_t>(1, r.train.micro_rows);
}

std::vector<RecipeKey> keys(Recipe& r) {
  return {
      {"model.preset", &r.model.preset,
       "architecture by name (hadal inspect lists them); model.config and, where no preset is named, model.init_from "
       "go before it"},
      {"model.config", &r.model.config,
       "path of a config.json; any of its fields may be set over it, as model.hidden_size"},
      {"model.init_from", &r.model.init_from,
       "model folder whose weights are the start (a new run, not a resumption), and whose config, if none is named"},
      {"model.vocab_size", &r.model.vocab_size, "0: the tokenizer's size, or that of the weights of model.init_from"},
      {"model.seed", &r.model.seed, "key of the random initial weights"},
      {"model.init_std", &r.model.init_std, "standard deviation of initial weights; 0: the config's initializer_range"},
      {"model.embedding_std", &r.model.embedding_std, "the same for embed_tokens alone; 0: as init_std"},
      {"model.dtype", &r.model.dtype, "f32, bf16 or fp8: compute type; masters are always f32"},
      {"data.tokenizer", &r.data.tokenizer, "folder with tokenizer.json"},
      {"data.train", &r.data.train, "folders of token shards (hadal data prepare)"},
      {"data.weights", &r.data.weights, "mixture weights, one a folder; empty: by size"},
      {"data.epochs", &r.data.epochs, "most epochs of each folder, fractions too; 0 or empty: no bound"},
      {"data.heldout", &r.data.heldout, "folder of token shards for validation; empty: none"},
      {"data.sequence_length", &r.data.sequence_length, "tokens of a training row"},
      {"data.seed", &r.data.seed, "key of the document order"},
      {"data.document_mask", &r.data.document_mask, "attention stays inside documents (V3's pre-training: false)"},
      {"data.fim_rate", &r.data.fim_rate, "share of the documents turned into fill-in-the-middle, PSM (V3: 0.1)"},
      {"data.split_rate", &r.data.split_rate,
       "share of the tokens that join punctuation and line ends to be split (V3 does so, at an undisclosed rate)"},
      {"train.tokens", &r.train.tokens, "tokens to train on"},
      {"train.rows", &r.train.rows, "rows of a step (the global batch)"},
      {"train.rows_start", &r.train.rows_start, "rows of the first step, rising to train.rows; 0: no ramp"},
      {"train.ramp_share", &r.train.ramp_share, "share of the tokens over which the rows rise (V3: 0.0317)"},
      {"train.rows_multiple", &r.train.rows_multiple, "rows of a step are a multiple of this; 0: of micro_rows"},
      {"train.micro_rows", &r.train.micro_rows, "rows of a micro-batch; 0: all of them at once"},
      {"train.threads", &r.train.threads, "0: all CPUs; results do not depend on it", true},
      {"train.recompute", &r.train.recompute,
       "none, selective (norms, MLA up-projections, SwiGLU are made again in the backward) or blocks (everything is): "
       "less "
       "memory, more time, same bits",
       true},
      {"lr.peak", &r.lr.peak, "learning rate after the warm-up"},
      {"lr.final", &r.lr.final, "learning rate after the cosine"},
      {"lr.warmup_share", &r.lr.warmup_share, "share of the tokens with rising rate"},
      {"lr.stable_share", &r.lr.stable_share,
       "share of the tokens at the peak; the cosine takes what is left before the tail"},
      {"lr.tail_from", &r.lr.tail_from, "shares of the tokens at which constant stages begin (V3: two)"},
      {"lr.tail_lr", &r.lr.tail_lr, "their learning rates"},
      {"optimizer.beta1", &r.optimizer.beta1, "AdamW"},
      {"optimizer.beta2", &r.optimizer.beta2, "AdamW"},
      {"optimizer.eps", &r.optimizer.eps, "AdamW"},
      {"optimizer.weight_decay", &r.optimizer.weight_decay, "on tensors of two or more dimensions"},
      {"optimizer.moments", &r.optimizer.moments, "f32 or bf16: type of AdamW's moments; V3: bf16, half the memory"},
      {"optimizer.clip", &r.optimizer.clip, "largest global gradient norm; 0: no clipping"},
      {"optimizer.ema", &r.optimizer.ema, "decay of a moving average of the weights (hadal convert --ema); 0: none"},
      {"guard.z", &r.guard.z,
       "a step is skipped if its loss is so many standard deviations above the last ones; 0: only if it is not finite"},
      {"guard.grad_z", &r.guard.grad_z, "the same for the gradient norm, whose level may drift; 0: not looked at"},
      {"guard.window", &r.guard.window, "applied steps that give mean and deviation; judged from half of them on"},
      {"guard.most_in_row", &r.guard.most_in_row,
       "skipped steps in a row that end the run with a checkpoint; 0: any number", true},
      {"balance.gamma", &r.balance.gamma, "speed of the gate bias (SPEC 2.3)"},
      {"balance.gamma_final", &r.balance.gamma_final, "gamma after gamma_until"},
      {"balance.gamma_until", &r.balance.gamma_until, "share of the tokens"},
      {"balance.alpha", &r.balance.alpha, "weight of the sequence-wise balance loss"},
      {"balance.expert_alpha", &r.balance.expert_alpha,
       "V2's alpha1: the same sum, added to balance.alpha (V2: 0.003)"},
      {"balance.device_alpha", &r.balance.device_alpha, "V2's alpha2: load of the groups of experts (V2: 0.05)"},
      {"balance.communication_alpha", &r.balance.communication_alpha,
       "V2's alpha3: tokens sent to each group of experts (V2: 0.02)"},
      {"mtp.lambda", &r.mtp.lambda, "weight of the MTP loss"},
      {"mtp.lambda_final", &r.mtp.lambda_final, "lambda after lambda_until"},
      {"mtp.lambda_until", &r.mtp.lambda_until, "share of the tokens"},
      {"validation.every", &r.validation.every, "steps between validations; 0: only at the ends"},
      {"validation.rows", &r.validation.rows, "rows that a validation reads, the first ones of data.heldout"},
      {"validation.full", &r.validation.full,
       "the first and the last validation read the whole of data.heldout as well", true},
      {"checkpoint.every", &r.checkpoint.every, "steps between checkpoints; 0: only at the end", true},
      {"checkpoint.keep", &r.checkpoint.keep, "latest checkpoints kept, beside the best", true},
  };
}

}  // namespace hadal::train
