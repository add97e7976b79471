#include "exporting/torch_tensors.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "exporting/library_tensors.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

/// Of a floating-point format, in steps.
std::vector<float> magnitudes(const Format& format) {
  const Grid steps{.scale = at::ones({1}), .lowest = {}, .highest = {}};
  const auto count = static_cast<double>(format.codes(format.fixed_bits, false).highest + 1);
  const Tensor values = format.value_(at::arange(count, at::kFloat), steps).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

ordered_json rounding(const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  ordered_json entry = ordered_json::object();
  if (spec.scaling.granularity == Granularity::block) {
    entry.update({{"block", spec.scaling.block}, {"stored", name_of(spec.scaling.stored)}});
    if (quantizer.factor.defined()) entry["factor"] = quantizer.factor.item<float>();
  } else {
    entry["step"] = quantizer.scale.item<float>();
  }
  if (spec.format->fixed_bits > 0) {
    entry["values"] = magnitudes(*spec.format);
    return entry;
  }
  entry.update({{"lowest", spec.lowest()}, {"highest", spec.highest()}});
  entry["zero_point"] = static_cast<int64_t>(quantizer.zero_point.item<float>());
  if (quantizer.companding.defined()) entry["companding"] = quantizer.companding.item<float>();
  return entry;
}

/// Of a linear layer's input; null: it stays float.
ordered_json input_of(const Deployment& deployment, const Product& product) {
  const auto input = deployment.activations.find(product.input);
  if (product.convolution || input == deployment.activations.end()) return nullptr;
  ordered_json entry = rounding(input->second);
  const auto weight = deployment.weights.find(product.weight);
  if (weight == deployment.weights.end() || !weight->second.float_channels.defined()) return entry;
  const Tensor& channels = weight->second.float_channels;
  const int64_t* first = channels.const_data_ptr<int64_t>();
  entry["float_channels"] = std::vector<int64_t>(first, first + channels.numel());
  return entry;
}

}  // namespace

TensorMap torch_tensors(const Deployment& deployment, const PublishedFolder& folder) {
  TensorMap tensors;
  for (const auto& [name, values] : deployment.parameters) add_parameter(tensors, folder, name, values);
  for (const auto& [node, weight] : deployment.weights)
    add_parameter(tensors, folder, deployment.plan->name(node), whole_weight(weight));
  return tensors;
}

ordered_json rounded_inputs(const Deployment& deployment, const PublishedFolder& folder) {
  ordered_json inputs = ordered_json::object(), left_out = ordered_json::array();
  std::set<NodeId> restored;
  for (const Product& product : deployment.plan->products) {
    const ordered_json entry = input_of(deployment, product);
    if (entry.is_null()) continue;
    restored.insert(product.input);
    for (const std::string& weight : folder.names(deployment.plan->name(product.weight))) inputs[module_of(weight)] = entry;
  }
  for (const auto& [node, quantizer] : deployment.activations) {
    if (!restored.contains(node)) left_out.push_back(deployment.plan->name(node));
  }
  return {{"inputs", inputs}, {"left_out", left_out}};
}

}  // namespace eidolon
