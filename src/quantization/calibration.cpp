#include "quantization/calibration.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/section.h"
#include "quantization/head_rotation.h"
#include "quantization/range_search.h"
#include "quantization/reparameterization.h"

namespace eidolon {
namespace {

constexpr int64_t most_values = int64_t{1} << 22;  ///< per node

/// Where a node's per-channel quantizer can be folded away: its LayerNorm and the layer behind it.
struct Fold {
  std::string norm, linear;
};

std::optional<Fold> fold_of(NodeId node) {
  const std::string block = "blocks." + std::to_string(node.block) + ".";
  if (node.kind == NodeKind::qkv_input) return Fold{block + "norm1", block + "attn.qkv"};
  if (node.kind == NodeKind::fc1_input) return Fold{block + "norm2", block + "mlp.fc1"};
  return std::nullopt;
}

/// One calibration: what stays the same from block to block, and the student that it fills.
struct Calibration {
  const VisionTransformer& teacher;  ///< its heads rotated, if the student's are
  const Scheme& scheme;
  const CalibrationSettings& settings;
  int64_t images;
  Student student;
};

/// What the full-precision teacher showed at each node: rows of the last axis, thinned.
using Observations = std::map<NodeId, std::vector<Tensor>>;

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

bool folds(const Calibration& calibration, NodeId node) {
  return calibration.settings.reparameterize && fold_of(node).has_value();
}

Tap observer(const Calibration& calibration, Observations& observations, int64_t batch) {
  const double share = static_cast<double>(batch) / static_cast<double>(calibration.images);
  return [&calibration, &observations, share](NodeId node, const Tensor& tensor) {
    const auto spec = calibration.scheme.find(node);
    if (!is_weight(node.kind) && spec != calibration.scheme.end()) {
      observations[node].push_back(thinned(in_units(tensor, spec->second), folds(calibration, node), share));
    }
    return tensor;
  };
}

Quantizer search(const Calibration& calibration, NodeId node, const Tensor& values, const QuantizerSpec& spec,
                 bool free_zero_point = false) {
  try {
    return search_range(values, spec, free_zero_point);
  } catch (const Fault& fault) {
    throw Fault("calibration of '" + node_name(node) + "': " + fault.what());
  }
}

void fit_activation(Calibration& calibration, NodeId node, const Tensor& values) {
  const QuantizerSpec& spec = calibration.scheme.at(node);
  Student& student = calibration.student;
  if (!folds(calibration, node)) {
    student.quantizers[node] = search(calibration, node, values, spec);
    return;
  }
  QuantizerSpec per_channel = spec;
  per_channel.channel_axis = 1;
  const Fold fold = *fold_of(node);
  const Quantizer found = search(calibration, node, values, per_channel, true);
  student.quantizers[node] = reparameterize(student.model, fold.norm, fold.linear, found);
}

void fit_activations(Calibration& calibration, Observations& observations) {
  for (auto& [node, parts] : observations) {
    const Tensor values = at::cat(parts);
    parts.clear();
    fit_activation(calibration, node, values);
  }
}

/// After the activations: folding changes weights.
void fit_weights(Calibration& calibration, const std::vector<NodeId>& nodes) {
  for (const NodeId node : nodes) {
    const auto spec = calibration.scheme.find(node);
    if (!is_weight(node.kind) || spec == calibration.scheme.end()) continue;
    Student& student = calibration.student;
    student.quantizers[node] = search(calibration, node, student.model[parameter_of(node)], spec->second);
  }
}

/// A section's outputs for all batches of `inputs`, shown to `tap_of(images of the batch)`.
template <typename TapOf>
Tensor run_section(const VisionTransformer& model, int section, const Tensor& inputs, int64_t batch, TapOf tap_of) {
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
  fit_weights(calibration, weights_of_section(calibration.teacher.architecture, section));
  return outputs;
}

}  // namespace

CalibrationSettings calibration_settings(const QuantizationJob& job) {
  CalibrationSettings settings;
  settings.reparameterize = job.reparameterize;
  settings.rotate_heads = job.rotate_heads;
  settings.correction = correction_method(job.correction);
  return settings;
}

Student calibrate(const VisionTransformer& teacher, const Scheme& scheme, const Tensor& images,
                  const CalibrationSettings& settings, const std::function<void()>& advance) {
  const at::NoGradGuard no_gradients;
  if (images.size(0) < 1) throw Fault("calibration needs at least one image");
  VisionTransformer exact_model = teacher.clone();
  if (settings.rotate_heads) rotate_heads(exact_model);
  Calibration calibration{exact_model, scheme, settings, images.size(0), {exact_model.clone(), {}}};
  Student& student = calibration.student;

  Tensor exact = images, rounded = images;  // in front of the section, in the teacher and in the student
  for (int section = 0; section < section_count(teacher.architecture); ++section) {
    const Tensor outputs = fit_section(calibration, section, exact);
    correct_section(student, section, rounded, {settings.correction, settings.ridge, settings.batch});
    exact = outputs;
    if (settings.correction != Correction::none) {
      rounded = run_section(student.model, section, rounded, settings.batch, [&](int64_t) { return quantizing_tap(student); });
    }
    if (advance && section > 0 && section <= teacher.architecture.depth) advance();
  }
  return student;
}

}  // namespace eidolon
