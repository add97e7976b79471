#include "quantization/correction.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "model/token_units.h"
#include "quantization/bias_correction.h"
#include "quantization/compensated_rounding.h"
#include "quantization/float_channels.h"
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

/// A layer as the groups of inputs that its outputs see, each a linear layer of its own: one, but of grouped convolutions.
struct Groups {
  int64_t count = 1, inputs = 0, outputs = 0;  ///< of each

  Tensor inputs_of(const Tensor& rows, int64_t group) const { return rows.narrow(1, group * inputs, inputs); }
  Tensor outputs_of(const Tensor& tensor, int64_t group) const { return tensor.narrow(0, group * outputs, outputs); }
};

Groups groups_of(const Product& layer, const Tensor& weight) {
  const int64_t count = layer.convolution ? layer.convolution->groups : 1;
  return {.count = count, .inputs = weight.flatten(1).size(1), .outputs = weight.size(0) / count};
}

InputSums input_sums(const Student& student, int section, const Product& layer, const Tensor& inputs, int64_t batch) {
  const Tap tap = quantizing_tap(student);
  const Tensor weight = student.model[layer.weight].flatten(1);
  InputSums sums = empty_sums(groups_of(layer, weight).count * weight.size(1), weight.device());
  for (const Tensor& part : inputs.split(batch)) {
    const Rows rows = input_rows(student, section, part, layer, tap);
    accumulate(sums, rows.exact, rows.rounded, rows.units);
  }
  return sums;
}

/// One Gram per group.
std::vector<Gram> moments(const Student& student, int section, const Product& layer, const Tensor& inputs, int64_t batch) {
  const Tensor weight = student.model[layer.weight].flatten(1), &bias = student.model[layer.bias];
  const Tap tap = quantizing_tap(student);
  const Groups groups = groups_of(layer, weight);
  std::vector<Gram> grams;
  for (int64_t g = 0; g < groups.count; ++g) grams.push_back(empty_gram(groups.inputs, groups.outputs, weight.device()));
  for (const Tensor& part : inputs.split(batch)) {
    const Rows rows = input_rows(student, section, part, layer, tap);
    for (int64_t g = 0; g < groups.count; ++g) {
      const Tensor wanted =
          at::linear(groups.inputs_of(rows.exact, g), groups.outputs_of(weight, g), groups.outputs_of(bias, g));
      accumulate(grams[static_cast<size_t>(g)], groups.inputs_of(rows.rounded, g), wanted, rows.units);
    }
  }
  return grams;
}

/// `maps`: one per group.
void store(Student& student, const Product& layer, const std::vector<Tensor>& maps) {
  std::vector<Tensor> weights, biases;
  for (const Tensor& map : maps) {
    weights.push_back(map.narrow(0, 0, map.size(0) - 1).t());
    biases.push_back(map[map.size(0) - 1]);
  }
  const auto keep = [&](const std::string& name, const Tensor& value) {
    Tensor& stored = student.model.parameters.at(name);
    stored = value.reshape(stored.sizes()).to(stored.scalar_type());
  };
  keep(student.model.plan->name(layer.weight), at::cat(weights));
  keep(layer.bias, at::cat(biases));
}

void correct_bias(Student& student, const Product& layer, const InputSums& sums) {
  const Tensor weight = student.model[layer.weight].flatten(1);
  const Tensor rounded = quantizing_tap(student)(layer.weight, student.model[layer.weight]).flatten(1);
  const Groups groups = groups_of(layer, weight);
  std::vector<Tensor> missing;
  for (int64_t g = 0; g < groups.count; ++g) {
    const InputSums own{.exact = sums.exact.narrow(0, g * groups.inputs, groups.inputs),
                        .rounded = sums.rounded.narrow(0, g * groups.inputs, groups.inputs),
                        .weight = sums.weight};
    missing.push_back(mean_error(own, groups.outputs_of(weight, g), groups.outputs_of(rounded, g)));
  }
  Tensor& bias = student.model.parameters.at(layer.bias);
  bias = (bias.to(at::kDouble) + at::cat(missing)).to(bias.scalar_type());
}

/// The map with weights that round to the chosen grid indices but stay on the side they came from, so that what is trained next
/// knows which of them hardly mattered.
Tensor undecided(const CompensatedMap& map, const Quantizer& quantizer) {
  const Tensor limit = quantizer.scale.to(at::kDouble) * most_undecided;
  const Tensor rest = at::minimum(at::maximum(map.wanted - map.rounded, -limit), limit);
  return map.rounded + rest;
}

/// The quantizer of a group's outputs.
Quantizer quantizer_of(const Quantizer& all, const Groups& groups, int64_t group) {
  if (groups.count == 1 || all.scale.numel() == 1) return all;
  Quantizer own = all;
  own.scale = groups.outputs_of(all.scale, group);
  own.zero_point = groups.outputs_of(all.zero_point, group);
  return own;
}

void correct_weights(Student& student, const Product& layer, const std::vector<Gram>& grams,
                     const CorrectionSettings& settings) {
  const Groups groups = groups_of(layer, student.model[layer.weight]);
  const bool by_ridge = settings.method == Correction::ridge;
  std::vector<Tensor> maps;
  for (int64_t g = 0; g < groups.count; ++g) {
    const Gram& gram = grams[static_cast<size_t>(g)];
    const Tensor before =
        affine_map(groups.outputs_of(student.model[layer.weight], g), groups.outputs_of(student.model[layer.bias], g));
    maps.push_back(by_ridge ? ridge_corrected(gram, before, settings.ridge) : bias_corrected(gram, before));
  }
  store(student, layer, maps);
  const auto quantizer = student.quantizers.find(layer.weight);
  if (quantizer == student.quantizers.end()) return;
  quantizer->second = search_range(student.model[layer.weight], quantizer->second.spec);
  for (int64_t g = 0; g < groups.count; ++g) {
    Tensor& map = maps[static_cast<size_t>(g)];
    const Tensor metric = regularized(grams[static_cast<size_t>(g)], settings.ridge);
    const Quantizer own = quantizer_of(quantizer->second, groups, g);
    map = undecided(compensated_rounding(map, metric, own), own);
  }
  store(student, layer, maps);
}

/// Rounds the layer's weights but for what the branch alone shall carry, and fits branch and bias to what is then missing.
void correct_by_low_rank(Student& student, const Product& layer, const Gram& gram, const CorrectionSettings& settings) {
  Quantizer& quantizer = student.quantizers.at(layer.weight);
  const Tensor wanted = bias_corrected(gram, affine_map(student.model[layer.weight], student.model[layer.bias]));
  Tensor map = wanted;
  if (const auto columns = settings.whole_columns.find(layer.weight); columns != settings.whole_columns.end()) {
    const QuantizerSpec spec = quantizer.spec;
    const Tensor channels = quantizer.float_channels;
    map = map.index_fill(0, columns->second, 0);
    quantizer = search_range(without_float_channels(map.narrow(0, 0, map.size(0) - 1).t().to(at::kFloat), channels), spec);
    quantizer.float_channels = channels;
  }
  if (settings.low_rank.compensated)
    map = undecided(compensated_rounding(map, regularized(gram, settings.ridge), quantizer), quantizer);
  store(student, layer, {map});
  const auto rounded = [&] {
    return affine_map(fake_quantize(student.model[layer.weight], quantizer), student.model[layer.bias]);
  };
  const int64_t inputs = map.size(0) - 1;
  const Tensor error = (wanted - rounded()).narrow(0, 0, inputs);
  const LowRankFactors factors = nearest_of_low_rank(error, centred_moments(gram), settings.low_rank);
  quantizer.left = factors.left;
  quantizer.right = factors.right;
  Tensor& bias = student.model.parameters.at(layer.bias);
  bias = bias_corrected(gram, rounded())[inputs].to(bias.scalar_type());
}

}  // namespace

Correction correction_method(const std::string& name) {
  if (name == "none") return Correction::none;
  if (name == "bias") return Correction::bias;
  if (name == "rounding") return Correction::rounding;
  if (name == "low_rank") return Correction::low_rank;
  if (name == "ridge") return Correction::ridge;
  throw BadInput("quantization.correction = \"" + name + "\" is not known; it is none, bias, rounding, low_rank or ridge");
}

void correct_section(Student& student, int section, const Tensor& inputs, const CorrectionSettings& settings) {
  if (settings.method == Correction::none) return;
  const at::NoGradGuard no_gradients;
  const int64_t batch = std::max<int64_t>(1, settings.batch);
  for (const Product& layer : student.model.plan->products_of(section)) {
    const auto quantizer = student.quantizers.find(layer.weight);
    const bool has_branch = quantizer != student.quantizers.end() && quantizer->second.spec.branch_bits > 0;
    if (settings.method == Correction::low_rank && has_branch) {
      correct_by_low_rank(student, layer, moments(student, section, layer, inputs, batch).front(), settings);
    } else if (settings.method == Correction::bias || settings.method == Correction::low_rank) {
      correct_bias(student, layer, input_sums(student, section, layer, inputs, batch));
    } else {
      correct_weights(student, layer, moments(student, section, layer, inputs, batch), settings);
    }
  }
}

}  // namespace eidolon
