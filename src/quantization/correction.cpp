#include "quantization/correction.h"

#include <algorithm>

#include "base/error.h"
#include "model/section.h"
#include "model/token_units.h"
#include "quantization/bias_correction.h"
#include "quantization/compensated_rounding.h"
#include "quantization/gram.h"
#include "quantization/range_search.h"
#include "quantization/ridge_correction.h"

namespace eidolon {
namespace {

/// In steps; below a half, so that rounding gives the chosen place.
constexpr double most_undecided = 0.45;

/// A linear layer: where it stands and what its parameters are called.
struct Layer {
  NodeId weight_node, input_node;
  std::string weight, bias;
};

Layer layer_of(NodeId weight) {
  const std::string name = parameter_of(weight);
  return {weight, input_of(weight), name, bias_of(name)};
}

/// The rows that a layer multiplies, before and after their rounding, and the units of its outputs (undefined: 1).
struct Rows {
  Tensor exact, rounded, units;
};

/// Whether the layer's outputs are added to the tokens, which the next LayerNorm divides by their deviation.
bool writes_tokens(NodeKind weight) {
  return weight == NodeKind::proj_weight || weight == NodeKind::fc2_weight;
}

Rows input_rows(const Student& student, int section, const Tensor& inputs, const Layer& layer, const Tap& tap) {
  const NodeId node = layer.input_node;
  Rows rows;
  const Tensor output = forward_section(student.model, section, inputs, [&](NodeId at, const Tensor& tensor) {
    const Tensor passed = tap(at, tensor);
    if (at == node) rows = {tensor, passed, {}};
    return passed;
  });
  const auto flat = [&](const Tensor& tensor) {
    const Tensor whole = node.kind == NodeKind::image ? patches_of(student.model.architecture, tensor) : tensor;
    return whole.reshape({-1, whole.size(-1)});
  };
  const Tensor units = writes_tokens(layer.weight_node.kind) ? token_deviation(output).reshape({-1, 1}) : Tensor();
  return {flat(rows.exact), flat(rows.rounded), units};
}

InputSums input_sums(const Student& student, int section, const Layer& layer, const Tensor& inputs, int64_t batch) {
  const Tap tap = quantizing_tap(student);
  const Tensor weight = student.model[layer.weight].flatten(1);
  InputSums sums = empty_sums(weight.size(1), weight.device());
  for (const Tensor& part : inputs.split(batch)) {
    const Rows rows = input_rows(student, section, part, layer, tap);
    accumulate(sums, rows.exact, rows.rounded, rows.units);
  }
  return sums;
}

Gram moments(const Student& student, int section, const Layer& layer, const Tensor& inputs, int64_t batch) {
  const Tensor weight = student.model[layer.weight].flatten(1), &bias = student.model[layer.bias];
  const Tap tap = quantizing_tap(student);
  Gram gram = empty_gram(weight.size(1), weight.size(0), weight.device());
  for (const Tensor& part : inputs.split(batch)) {
    const Rows rows = input_rows(student, section, part, layer, tap);
    accumulate(gram, rows.rounded, at::linear(rows.exact, weight, bias), rows.units);
  }
  return gram;
}

void store(Student& student, const Layer& layer, const Tensor& map) {
  const int64_t inputs = map.size(0) - 1;
  const auto keep = [&](const std::string& name, const Tensor& value) {
    Tensor& stored = student.model.parameters.at(name);
    stored = value.reshape(stored.sizes()).to(stored.scalar_type());
  };
  keep(layer.weight, map.narrow(0, 0, inputs).t());
  keep(layer.bias, map[inputs]);
}

void correct_bias(Student& student, const Layer& layer, const InputSums& sums) {
  const Tensor& weight = student.model[layer.weight];
  const Tensor missing = mean_error(sums, weight, quantizing_tap(student)(layer.weight_node, weight));
  Tensor& bias = student.model.parameters.at(layer.bias);
  bias = (bias.to(at::kDouble) + missing).to(bias.scalar_type());
}

/// The map with weights that round to the chosen places but stay on the side they came from, so that what is trained next
/// knows which of them hardly mattered.
Tensor undecided(const CompensatedMap& map, const Quantizer& quantizer) {
  const Tensor limit = quantizer.scale.to(at::kDouble) * most_undecided;
  const Tensor rest = at::minimum(at::maximum(map.wanted - map.rounded, -limit), limit);
  return map.rounded + rest;
}

void correct_weights(Student& student, const Layer& layer, const Gram& gram, const CorrectionSettings& settings) {
  const Tensor before = affine_map(student.model[layer.weight], student.model[layer.bias]);
  const bool by_ridge = settings.method == Correction::ridge;
  const Tensor corrected = by_ridge ? ridge_corrected(gram, before, settings.ridge) : bias_corrected(gram, before);
  store(student, layer, corrected);
  const auto quantizer = student.quantizers.find(layer.weight_node);
  if (quantizer == student.quantizers.end()) return;
  quantizer->second = search_range(student.model[layer.weight], quantizer->second.spec);
  const Tensor metric = regularized(gram, settings.ridge);
  store(student, layer, undecided(compensated_rounding(corrected, metric, quantizer->second), quantizer->second));
}

}  // namespace

Correction correction_method(const std::string& name) {
  if (name == "none") return Correction::none;
  if (name == "bias") return Correction::bias;
  if (name == "rounding") return Correction::rounding;
  if (name == "ridge") return Correction::ridge;
  throw BadInput("quantization.correction = \"" + name + "\" is not known; it is none, bias, rounding or ridge");
}

void correct_section(Student& student, int section, const Tensor& inputs, const CorrectionSettings& settings) {
  if (settings.method == Correction::none) return;
  const at::NoGradGuard no_gradients;
  const int64_t batch = std::max<int64_t>(1, settings.batch);
  for (const NodeId weight : weights_of_section(student.model.architecture, section)) {
    const Layer layer = layer_of(weight);
    if (settings.method == Correction::bias) {
      correct_bias(student, layer, input_sums(student, section, layer, inputs, batch));
    } else {
      correct_weights(student, layer, moments(student, section, layer, inputs, batch), settings);
    }
  }
}

}  // namespace eidolon
