#include "quantization/calibration.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "base/error.h"
#include "quantization/equalization.h"
#include "quantization/float_channels.h"
#include "quantization/head_rotation.h"
#include "quantization/recipe.h"
#include "quantization/reparameterization.h"

namespace eidolon {
namespace {

constexpr int64_t most_values = int64_t{1} << 22;  ///< per node

/// One calibration: what stays the same from block to block, and the student that it fills.
struct Calibration {
  const Network& teacher;  ///< its heads rotated, if the student's are
  const Scheme& scheme;
  const CalibrationSettings& settings;
  int64_t images;
  Student student;
};

/// What the full-precision teacher showed at a node.
struct Observation {
  std::vector<Tensor> rows;  ///< of the last axis, thinned; single values where channels do not matter
  Tensor low, high;          ///< extremes of each channel, where some may stay float
};
using Observations = std::map<NodeId, Observation>;

/// Every n-th of the tensor's rows (of single values where channels do not matter). n has no factor in common with the number
/// of rows, or else a period of the layout (tokens, channels) would be sampled in step and most of it never seen.
Tensor thinned(const Tensor& tensor, bool keeps_channels, double share_of_all) {
  const Tensor rows = tensor.reshape({-1, keeps_channels ? tensor.size(-1) : 1});
  const double all_values = static_cast<double>(tensor.numel()) / share_of_all;
  auto stride = static_cast<int64_t>(std::ceil(all_values / static_cast<double>(most_values)));
  if (stride <= 1) return rows.clone();
  while (std::gcd(stride, rows.size(0)) != 1) ++stride;
  return rows.slice(0, 0, std::nullopt, stride).clone();
}

/// The product into whose norm and weight the ranges per channel of this node are folded; none: null. Tokens alone are many
/// enough for a range of every channel: a head sees one row per image.
const Product* folding_product(const Calibration& calibration, NodeId node) {
  const Plan& plan = *calibration.teacher.plan;
  const Scaling& scaling = calibration.scheme.at(node).scaling;
  const bool one_scale = scaling.granularity == Granularity::tensor && !scaling.from_values;
  const bool many_rows = plan.sections[static_cast<size_t>(plan[node].section)].output != Layout::vector;
  const Product* product = plan.product_reading(node);
  const bool folds =
      calibration.settings.reparameterize && one_scale && many_rows && product != nullptr && !product->norm.empty();
  return folds ? product : nullptr;
}

/// The layer of this input, if some of its channels may stay float; otherwise null. Where ranges per channel are folded, none
/// has to.
const Product* product_with_outliers(const Calibration& calibration, NodeId node) {
  const Scaling& scaling = calibration.scheme.at(node).scaling;
  const bool one_scale = scaling.granularity == Granularity::tensor && !scaling.from_values;
  if (calibration.settings.float_channels == 0 || !one_scale || folding_product(calibration, node) != nullptr) return nullptr;
  const Product* product = calibration.teacher.plan->product_reading(node);
  return product == nullptr || product->convolution ? nullptr : product;
}

void observe_extremes(Observation& observation, const Tensor& tensor) {
  const Tensor rows = tensor.reshape({-1, tensor.size(-1)});
  const Tensor low = rows.amin(0), high = rows.amax(0);
  observation.low = observation.low.defined() ? at::minimum(observation.low, low) : low;
  observation.high = observation.high.defined() ? at::maximum(observation.high, high) : high;
}

Tap observer(const Calibration& calibration, Observations& observations, int64_t batch) {
  const double share = static_cast<double>(batch) / static_cast<double>(calibration.images);
  return [&calibration, &observations, share](NodeId node, const Tensor& tensor) {
    const auto spec = calibration.scheme.find(node);
    if (!calibration.teacher.plan->is_weight(node) && spec != calibration.scheme.end()) {
      const bool has_outliers = product_with_outliers(calibration, node) != nullptr;
      const bool keeps_channels = has_outliers || folding_product(calibration, node) != nullptr;
      Observation& observation = observations[node];
      observation.rows.push_back(thinned(in_units(tensor, spec->second), keeps_channels, share));
      if (has_outliers) observe_extremes(observation, tensor);
    }
    return tensor;
  };
}

Quantizer search(const Calibration& calibration, NodeId node, const Tensor& values, const QuantizerSpec& spec,
                 bool free_zero_point = false) {
  try {
    return search_range(values, spec, free_zero_point, calibration.settings.ranges);
  } catch (const Fault& fault) {
    throw Fault("calibration of '" + calibration.teacher.plan->name(node) + "': " + fault.what());
  }
}

void fit_activation(Calibration& calibration, NodeId node, const Observation& observation) {
  QuantizerSpec spec = calibration.scheme.at(node);
  Student& student = calibration.student;
  const Tensor values = at::cat(observation.rows);
  if (const Product* product = folding_product(calibration, node)) {
    spec.scaling = per_channel(1);
    student.quantizers[node] = reparameterize(student.model, *product, search(calibration, node, values, spec, true));
    return;
  }
  Tensor float_channels;
  if (observation.low.defined())
    float_channels = outlier_channels(observation.low, observation.high, calibration.settings.float_channels);
  student.quantizers[node] = search(calibration, node, without_float_channels(values, float_channels), spec);
  student.quantizers[node].float_channels = float_channels;
}

void fit_activations(Calibration& calibration, Observations& observations) {
  for (auto& [node, observation] : observations) {
    fit_activation(calibration, node, observation);
    observation = {};
  }
}

/// After the activations: folding changes weights.
void fit_weights(Calibration& calibration, int section) {
  Student& student = calibration.student;
  for (const Product& product : calibration.teacher.plan->products_of(section)) {
    const auto spec = calibration.scheme.find(product.weight);
    if (spec == calibration.scheme.end()) continue;
    const auto input = student.quantizers.find(product.input);
    const Tensor channels = input == student.quantizers.end() ? Tensor() : input->second.float_channels;
    const Tensor integers = without_float_channels(student.model[product.weight], channels);
    student.quantizers[product.weight] = search(calibration, product.weight, integers, spec->second);
    student.quantizers[product.weight].float_channels = channels;
  }
}

/// A section's outputs for all batches of `inputs`, shown to `tap_of(images of the batch)`.
template <typename TapOf>
Tensor run_section(const Network& model, int section, const Tensor& inputs, int64_t batch, TapOf tap_of) {
  std::vector<Tensor> outputs;
  for (const Tensor& part : inputs.split(std::max<int64_t>(1, batch))) {
    outputs.push_back(forward_section(model, section, part, tap_of(part.size(0))));
  }
  return at::cat(outputs);
}

/// Fits the section's quantizers to what the teacher's section shows on `inputs`. Returns its outputs.
Tensor fit_section(Calibration& calibration, int section, const Tensor& inputs) {
  Observations observations;
  const Tensor outputs = run_section(calibration.teacher, section, inputs, calibration.settings.batch,
                                     [&](int64_t count) { return observer(calibration, observations, count); });
  fit_activations(calibration, observations);
  fit_weights(calibration, section);
  return outputs;
}

}  // namespace

CalibrationSettings calibration_settings(const QuantizationJob& job) {
  CalibrationSettings settings;
  settings.reparameterize = job.reparameterize;
  settings.float_channels = most_float_channels(job);
  settings.rotate_heads = job.rotate_heads;
  settings.correction = correction_method(job.correction);
  settings.ranges = job.ranges == "min_max" ? Ranges::of_extremes : Ranges::of_least_squares;
  settings.low_rank = {.rank = job.low_rank.rank,
                       .share = job.low_rank.share,
                       .whole_columns = job.low_rank.smoothed_channels,
                       .compensated = job.low_rank.rounding == "compensated"};
  return settings;
}

Student calibrate(const Network& teacher, const Scheme& scheme, const Tensor& images, const CalibrationSettings& settings,
                  const std::function<void()>& advance) {
  const at::NoGradGuard no_gradients;
  if (images.size(0) < 1) throw Fault("calibration needs at least one image");
  Network exact_model = teacher.clone();
  if (settings.rotate_heads) rotate_heads(exact_model);
  if (settings.reparameterize) equalize_channels(exact_model, images, settings.batch);
  CorrectionSettings correction{.method = settings.correction,
                                .ridge = settings.ridge,
                                .batch = settings.batch,
                                .low_rank = settings.low_rank,
                                .whole_columns = {}};
  if (settings.correction == Correction::low_rank)
    correction.whole_columns = smooth_channels(exact_model, images, settings.low_rank.whole_columns, settings.batch);
  Calibration calibration{.teacher = exact_model,
                          .scheme = scheme,
                          .settings = settings,
                          .images = images.size(0),
                          .student = {exact_model.clone(), {}}};
  Student& student = calibration.student;

  Tensor exact = images, rounded = images;  // in front of the section, in the teacher and in the student
  for (int section = 0; section < teacher.plan->section_count(); ++section) {
    exact = fit_section(calibration, section, exact);
    if (settings.correction != Correction::none) {
      correct_section(student, section, rounded, correction);
      rounded = run_section(student.model, section, rounded, settings.batch, [&](int64_t) { return quantizing_tap(student); });
    }
    if (advance) advance();
  }
  return student;
}

}  // namespace eidolon
