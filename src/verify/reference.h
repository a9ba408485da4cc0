// A reference file (docs/verify.md), read: whatever a replay computes with is checked here for rank, sizes, type and
// range against the model, once. Everything else in it is only compared.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace hadal::verify {

std::vector<double> to_doubles(const Tensor& t);  // any numeric type

// What a size of a tensor may be: one number, or a range.
struct Size {
  std::int64_t least, most;
  Size(std::int64_t exactly) : least(exactly), most(exactly) {}  // NOLINT: implicit on purpose
  Size(std::int64_t low, std::int64_t high) : least(low), most(high) {}
};
inline constexpr std::int64_t kAnySize = std::int64_t{1} << 48;

// Typed access to a safetensors file of numbers. Errors are one line with the file and the tensor.
class Reference {
 public:
  explicit Reference(const std::filesystem::path& path) : file_(io::Safetensors::open(path)) {}

  bool has(const std::string& name) const { return file_.contains(name); }
  std::vector<std::string> names() const { return file_.names(); }
  std::vector<std::string> names_with(std::string_view prefix) const;
  std::vector<std::string> routing_names() const;  // routing.layer.N.experts, N rising
  const std::map<std::string, std::string>& metadata() const { return file_.metadata(); }
  std::string path() const { return file_.path().string(); }

  // The shape, if it is of these sizes, which follow from the model and from the tensor `beside` it. Throws Error for a
  // tensor that is missing or has others.
  Shape sizes(const std::string& name, std::initializer_list<Size> wanted, const std::string& beside = "") const;
  // I32 or I64, each from low to high.
  std::vector<std::int64_t> integers(const std::string& name, std::int64_t low, std::int64_t high) const;
  // F32, F64, BF16, I32 or I64.
  std::vector<double> values(const std::string& name) const;
  double one_value(const std::string& name) const;  // of a tensor with one element, finite and 0 or above

 private:
  [[noreturn]] void wrong(const std::string& name, const std::string& rule) const;
  io::Safetensors file_;
};

// What a replay is fed with. What the file lacks is empty.
struct Inputs {
  using Rows = std::vector<std::vector<std::int32_t>>;
  Rows tokens;                          // B rows of T + 1
  std::vector<Tensor> routing;          // (B * T, k) i32 of each MoE layer, (B * (T - d), k) of MTP module d; for bf16
  std::vector<std::int32_t> documents;  // where those of packed.document begin in a row
  std::vector<std::int32_t> prompt;
  std::int64_t continuation = 0;  // tokens of greedy.continuation
  Rows long_tokens;
  std::int64_t long_last = 0;  // rows of long.last_logits
  std::vector<Rows> steps;     // B rows a step

  // forced: bf16 takes the choice of experts from the file. Throws Error for the reference of another model.
  Inputs(const Reference& file, const model::Config& config, bool forced);
};

// Layers whose choice of experts a forward records: MoE layers, then MTP modules.
std::size_t moe_layers(const model::Config& config);

}  // namespace hadal::verify
