#include "quantization/correction.h"

#include <algorithm>

#include "base/error.h"
#include "model/token_units.h"
#include "quantization/bias_correction.h"
#include "quantization/compensated_rounding.h"
#include "quantization/gram.h"
#include "quantization/range_search.h"
#include "quantization/ridge_correction.h"

namespace eidolon {
namespace {

/// In steps; below a half, so that rounding gives the chosen grid index.
constexpr double most_undecided = 0.45;

/// The rows that a layer multiplies, before and after their rounding, and the units of its outputs (undefined: 1).
struct Rows {
  Tensor exact, rounded, units;
};

Rows input_rows(const Student& student, int section, const Tensor& inputs, const Product& layer, const Tap& tap) {
  Tensor exact, rounded;
  const Tensor output = forward_section(student.model, section, inputs, [&](NodeId node, const Tensor& tensor) {
    const Tensor passed = tap(node, tensor);
    if (node == layer.input) exact = tensor, rounded = passed;
    return passed;
  });
  const auto flat = [&](const Tensor& tensor) {
    const Tensor rows = rows_of(layer, tensor);
    return rows.reshape({-1, rows.size(-1)});
  };
  const Layout layout = student.model.plan->sections[static_cast<size_t>(section)].output;
  const Tensor units = layer.to_stream ? token_deviation(output, layout).reshape({-1, 1}) : Tensor();
  return {.exact = flat(exact), .rounded = flat(rounded), .units = units};
}

InputSums input_sums(const Student& student, int section, const Product& layer, const Tensor& inputs, int64_t batch) {
  const Tap tap = quantizing_tap(student);
  const Tensor weight = student.model[layer.weight].flatten(1);
  InputSums sums = empty_sums(weight.size(1), weight.device());
  for (const Tensor& part : inputs.split(batch)) {
    const Rows rows = input_rows(student, section, part, layer, tap);
    accumulate(sums, rows.exact, rows.rounded, rows.units);
  }
  return sums;
}

Gram moments(const Student& student, int section, const Product& layer, const Tensor& inputs, int64_t batch) {
  const Tensor weight = student.model[layer.weight].flatten(1), &bias = student.model[layer.bias];
  const Tap tap = quantizing_tap(student);
  Gram gram = empty_gram(weight.size(1), weight.size(0), weight.device());
  for (const Tensor& part : inputs.split(batch)) {
    const Rows rows = input_rows(student, section, part, layer, tap);
    accumulate(gram, rows.rounded, at::linear(rows.exact, weight, bias), rows.units);
  }
  return gram;
}

void store(Student& student, const Product& layer, const Tensor& map) {
  const int64_t inputs = map.size(0) - 1;
  const auto keep = [&](const std::string& name, const Tensor& value) {
    Tensor& stored = student.model.parameters.at(name);
    stored = value.reshape(stored.sizes()).to(stored.scalar_type());
  };
  keep(student.model.plan->name(layer.weight), map.narrow(0, 0, inputs).t());
  keep(layer.bias, map[inputs]);
}

void correct_bias(Student& student, const Product& layer, const InputSums& sums) {
  const Tensor& weight = student.model[layer.weight];
  const Tensor missing = mean_error(sums, weight, quantizing_tap(student)(layer.weight, weight));
  Tensor& bias = student.model.parameters.at(layer.bias);
  bias = (bias.to(at::kDouble) + missing).to(bias.scalar_type());
}

/// The map with weights that round to the chosen grid indices but stay on the side they came from, so that what is trained next
/// knows which of them hardly mattered.
Tensor undecided(const CompensatedMap& map, const Quantizer& quantizer) {
  const Tensor limit = quantizer.scale.to(at::kDouble) * most_undecided;
  const Tensor rest = at::minimum(at::maximum(map.wanted - map.rounded, -limit), limit);
  return map.rounded + rest;
}

void correct_weights(Student& student, const Product& layer, const Gram& gram, const CorrectionSettings& settings) {
  const Tensor before = affine_map(student.model[layer.weight], student.model[layer.bias]);
  const bool by_ridge = settings.method == Correction::ridge;
  const Tensor corrected = by_ridge ? ridge_corrected(gram, before, settings.ridge) : bias_corrected(gram, before);
  store(student, layer, corrected);
  const auto quantizer = student.quantizers.find(layer.weight);
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
  for (const Product& layer : student.model.plan->products_of(section)) {
    if (settings.method == Correction::bias) {
      correct_bias(student, layer, input_sums(student, section, layer, inputs, batch));
    } else {
      correct_weights(student, layer, moments(student, section, layer, inputs, batch), settings);
    }
  }
}

}  // namespace eidolon
