#include "model/loading/joining.h"

#include <algorithm>

#include "base/error.h"
#include "model/shape_text.h"

namespace eidolon {

void join_rows(TensorMap& tensors, const std::vector<std::string>& parts, const std::string& whole) {
  std::vector<Tensor> found;
  for (const std::string& part : parts) {
    const auto at = tensors.find(part);
    if (at == tensors.end() || at->second.dim() == 0) return;
    found.push_back(at->second);
  }
  const auto fits = [&](const Tensor& part) {
    return part.dim() == found[0].dim() && part.sizes().slice(1) == found[0].sizes().slice(1);
  };
  if (!std::ranges::all_of(found, fits)) return;
  for (const std::string& part : parts) tensors.erase(part);
  tensors[whole] = at::cat(found);
}

void join_layers(TensorMap& tensors, const std::vector<std::string>& parts, const std::string& whole) {
  std::vector<std::string> weights, biases;
  bool any_bias = false;
  for (const std::string& part : parts) {
    weights.push_back(part + ".weight");
    biases.push_back(part + ".bias");
    any_bias = any_bias || tensors.contains(part + ".bias");
    if (!tensors.contains(part + ".weight")) return;
  }
  if (any_bias) {
    for (const std::string& part : parts) add_zero_bias(tensors, part);
    join_rows(tensors, biases, whole + ".bias");
  }
  join_rows(tensors, weights, whole + ".weight");
}

void fold_scale(TensorMap& tensors, const std::string& scale, const std::string& name, const std::string& file) {
  const auto found = tensors.find(scale);
  if (found == tensors.end()) return;
  const Tensor factors = found->second;
  for (const char* part : {".weight", ".bias"}) {
    const auto at = tensors.find(name + part);
    if (at == tensors.end()) continue;
    Tensor& parameter = at->second;
    if (factors.dim() != 1 || parameter.dim() == 0 || parameter.size(0) != factors.size(0)) {
      throw BadInput(file + ": '" + scale + "' " + shape_text(factors.sizes()) + " does not scale the outputs of '" + name +
                     part + "' " + shape_text(parameter.sizes()));
    }
    parameter = parameter.dim() == 1 ? parameter * factors : parameter * factors.unsqueeze(1);
  }
  tensors.erase(scale);
}

void add_zero_bias(TensorMap& tensors, const std::string& name) {
  const auto weight = tensors.find(name + ".weight");
  if (weight == tensors.end() || weight->second.dim() == 0 || tensors.contains(name + ".bias")) return;
  tensors[name + ".bias"] = at::zeros({weight->second.size(0)}, weight->second.options());
}

}  // namespace eidolon
