#include "train/recipe_hints.h"

#include <algorithm>
#include <cctype>

#include "base/edit_distance.h"
#include "base/error.h"
#include "model/config_fields.h"
#include "train/recipe.h"

namespace hadal::train {

namespace {

struct Alias {
  std::string_view names;  // separated by blanks, without section, in lower case, with _
  std::string_view hint;
};

constexpr Alias kAliases[] = {
    {"learning_rate lr max_lr peak_lr base_lr", "the learning rate is 'lr.peak'"},
    {"min_lr min_learning_rate final_lr end_lr lr_end", "it is 'lr.final'"},
    {"warmup_steps num_warmup_steps warmup_iters lr_warmup_steps warmup",
     "the warm-up is 'lr.warmup_share', a share of the tokens: warm-up steps / steps"},
    {"warmup_ratio warmup_fraction lr_warmup_fraction", "it is 'lr.warmup_share'"},
    {"lr_scheduler_type lr_scheduler scheduler lr_decay_style lr_schedule",
     "the schedule is warm-up, constant, cosine, and constant stages: lr.warmup_share, lr.stable_share, lr.tail_from"},
    {"lr_decay_iters decay_steps lr_decay_steps", "the cosine takes what lr.warmup_share and lr.stable_share leave"},
    {"batch_size global_batch_size train_batch_size per_device_train_batch_size total_batch_size device_batch_size bs "
     "batch",
     "rows of a step are 'train.rows' (gradient accumulation included), of a micro-batch 'train.micro_rows'"},
    {"micro_batch_size micro_batch mbs", "it is 'train.micro_rows'"},
    {"gradient_accumulation_steps grad_accum gradient_accumulation grad_accum_steps accumulate_grad_batches",
     "give 'train.micro_rows' = train.rows / accumulation steps"},
    {"max_steps steps num_steps train_iters max_iters iterations total_steps num_iterations train_steps",
     "the length is 'train.tokens' = steps x train.rows x data.sequence_length"},
    {"num_train_epochs num_epochs epochs max_epochs n_epochs",
     "the length is 'train.tokens' = epochs x tokens of the data; 'data.epochs' bounds the epochs of each folder"},
    {"max_tokens total_tokens train_tokens num_tokens token_budget", "it is 'train.tokens'"},
    {"block_size seq_len seq_length max_seq_len max_seq_length context_length ctx_len n_ctx max_length sequence_len "
     "context ctx "
     "cutoff_len",
     "it is 'data.sequence_length'"},
    {"wd l2", "it is 'optimizer.weight_decay'"},
    {"adam_beta1 betas b1", "it is 'optimizer.beta1' (and optimizer.beta2)"},
    {"adam_beta2 b2", "it is 'optimizer.beta2'"},
    {"adam_epsilon adam_eps epsilon", "it is 'optimizer.eps'"},
    {"max_grad_norm grad_clip clip_grad gradient_clip_val gradient_clipping grad_norm_clip clip_grad_norm max_norm",
     "it is 'optimizer.clip'"},
    {"ema_decay", "it is 'optimizer.ema'"},
    {"optim", "the optimizer is AdamW: keys of [optimizer] set it"},
    {"seed random_seed", "there are two: 'model.seed' of the initial weights, 'data.seed' of the order of the data"},
    {"fp16 bf16 precision mixed_precision torch_dtype", "it is 'model.dtype' (\"bf16\", \"f32\" or \"fp8\")"},
    {"gradient_checkpointing activation_checkpointing checkpoint_activations",
     "it is 'train.recompute' (\"selective\" or \"blocks\")"},
    {"save_steps save_interval save_every checkpoint_interval checkpoint_every", "it is 'checkpoint.every'"},
    {"save_total_limit", "it is 'checkpoint.keep'"},
    {"eval_steps eval_interval eval_every val_every val_check_interval eval_strategy evaluation_strategy",
     "it is 'validation.every'"},
    {"eval_iters eval_batches limit_val_batches", "it is 'validation.rows'"},
    {"logging_steps log_interval log_every", "every step is logged: there is no such key"},
    {"model arch architecture", "an architecture is 'model.preset' or, by its config.json, 'model.config'"},
    {"n_layer n_layers num_layers depth num_hidden_layer", "it is 'model.num_hidden_layers'"},
    {"n_head n_heads num_heads heads", "it is 'model.num_attention_heads'"},
    {"n_embd d_model embed_dim hidden_dim model_dim width dim n_embed", "it is 'model.hidden_size'"},
    {"d_ff ffn_dim ffn_hidden_size inter_dim", "it is 'model.intermediate_size'"},
    {"moe_inter_dim expert_dim moe_ffn_hidden_size", "it is 'model.moe_intermediate_size'"},
    {"num_experts n_experts num_local_experts", "it is 'model.n_routed_experts'"},
    {"top_k topk num_experts_per_token n_activated_experts moe_router_topk", "it is 'model.num_experts_per_tok'"},
    {"mtp_depth mtp_modules n_mtp num_mtp_modules mtp_num_layers", "it is 'model.num_nextn_predict_layers'"},
    {"mtp_loss_weight mtp_weight mtp_loss_scaling_factor", "it is 'mtp.lambda'"},
    {"bias_update_rate bias_update_speed moe_router_bias_update_rate load_balance_coeff", "it is 'balance.gamma'"},
    {"aux_loss_alpha router_aux_loss_coef moe_aux_loss_coeff aux_loss_coef", "it is 'balance.alpha'"},
    {"model_name_or_path pretrained_model_name_or_path base_model init_checkpoint load pretrained checkpoint_path",
     "a model folder to start from is 'model.init_from'"},
    {"data dataset datasets train_file data_path train_data dataset_name train_data_path",
     "'data.train' names folders of token shards (hadal data prepare makes them)"},
    {"eval_dataset validation_file val_data valid_data eval_data", "it is 'data.heldout', a folder of token shards"},
    {"tokenizer_name tokenizer_path tokenizer_name_or_path", "it is 'data.tokenizer'"},
    {"output_dir out_dir save_dir run_dir save", "the folder of a run is the option --run"},
    {"resume_from_checkpoint resume", "a run goes on when it is started again in its folder"},
    {"num_workers dataloader_num_workers nproc", "it is 'train.threads'"},
    {"dropout attention_dropout hidden_dropout resid_pdrop", "nothing is dropped: there is no such key"},
    {"fim_spm_rate", "it is 'data.fim_rate' (PSM alone)"},
};

bool is_one_of(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const auto blank = std::min(names.find(' '), names.size());
    if (names.substr(0, blank) == name) return true;
    names.remove_prefix(std::min(blank + 1, names.size()));
  }
  return false;
}

std::vector<std::string> all_names() {
  Recipe recipe;
  std::vector<std::string> names;
  for (const RecipeKey& k : keys(recipe)) names.emplace_back(k.name);
  for (const std::string_view field : model::recipe_fields()) names.push_back("model." + std::string(field));
  return names;
}

std::string plain_name(std::string_view name) {
  constexpr std::size_t kLongest = 100;  // nobody means anything by a longer one
  std::string plain(name.substr(0, kLongest));
  std::transform(plain.begin(), plain.end(), plain.begin(),
                 [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(c)); });
  return plain;
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

}  // namespace

std::string known_key_hint(std::string_view name) {
  const std::string plain = plain_name(name);
  const std::vector<std::string> names = all_names();
  if (std::find(names.begin(), names.end(), plain) != names.end()) return fmt::format("did you mean '{}'?", plain);
  for (const Alias& alias : kAliases) {
    if (is_one_of(alias.names, last_part(plain))) return std::string(alias.hint);
  }
  // The right name in another section, or without one.
  const auto same = [&](const std::string& n) { return last_part(n) == last_part(plain); };
  if (std::count_if(names.begin(), names.end(), same) == 1)
    return fmt::format("did you mean '{}'?", *std::find_if(names.begin(), names.end(), same));
  return "";
}

std::string hint_for(std::string_view name) {
  if (std::string known = known_key_hint(name); !known.empty()) return known;
  const std::string plain = plain_name(name);
  const std::vector<std::string> names = all_names();
  const std::string& best = *std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
    return edit_distance(a, plain) < edit_distance(b, plain);
  });
  return fmt::format("did you mean '{}'?", best);
}

}  // namespace hadal::train
