#include "exporting/packed.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "exporting/element_type.h"
#include "quantization/low_rank.h"

namespace eidolon {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int64_t export_format_version = 1;
constexpr int64_t int4_bits = 4;

/// Two 4-bit values a byte along the last axis, the earlier one in the low half.
Tensor nibbles(const Tensor& codes) {
  const Tensor rows = codes.flatten(1).to(at::kInt).bitwise_and(15);
  const Tensor even = rows.size(1) % 2 == 0 ? rows : at::constant_pad_nd(rows, {0, 1});
  const Tensor low = even.slice(1, 0, std::nullopt, 2), high = even.slice(1, 1, std::nullopt, 2);
  return (low + high * 16).to(at::kByte).contiguous();
}

bool in_nibbles(const QuantizerSpec& spec) {
  return spec.bits <= int4_bits;
}

std::string storage_name(const QuantizerSpec& spec) {
  if (spec.format->fixed_bits > 0) return spec.format->name;
  return in_nibbles(spec) ? "int4" : "int8";
}

ordered_json scale_json(const Scaling& scaling) {
  ordered_json entry{{"granularity", name_of(scaling.granularity)}};
  if (scaling.granularity == Granularity::channel || scaling.granularity == Granularity::block) entry["axis"] = scaling.axis;
  if (scaling.granularity == Granularity::block) entry["block"] = scaling.block;
  entry["stored"] = name_of(scaling.stored);
  entry["from_values"] = scaling.from_values;
  return entry;
}

ordered_json weight_json(const DeployedWeight& weight, const std::vector<int64_t>& shape) {
  ordered_json entry{{"shape", shape},
                     {"format", weight.spec.format->name},
                     {"bits", weight.spec.bits},
                     {"storage", storage_name(weight.spec)},
                     {"scale", scale_json(weight.spec.scaling)}};
  if (weight.float_channels.defined()) {
    const int64_t* first = weight.float_channels.const_data_ptr<int64_t>();
    entry["float_channels"] = std::vector<int64_t>(first, first + weight.float_channels.numel());
  }
  if (weight.left.defined()) entry["low_rank"] = {{"rank", weight.left.size(1)}, {"bits", weight.spec.branch_bits}};
  return entry;
}

ordered_json activation_json(const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  ordered_json entry{{"format", spec.format->name}, {"bits", spec.bits}, {"scale", scale_json(spec.scaling)}};
  if (quantizer.factor.defined()) entry["factor"] = quantizer.factor.item<float>();
  if (spec.scaling.granularity == Granularity::block) return entry;
  entry["step"] = quantizer.scale.item<float>();
  entry["lowest"] = spec.lowest();
  entry["highest"] = spec.highest();
  entry["zero_point"] = static_cast<int64_t>(quantizer.zero_point.item<float>());
  if (quantizer.companding.defined()) entry["companding"] = quantizer.companding.item<float>();
  return entry;
}

const char* name_of(Role role) {
  switch (role) {
    case Role::image:
      return "image";
    case Role::weight:
      return "weight";
    case Role::input:
      return "input";
    case Role::query:
      return "query";
    case Role::key:
      return "key";
    case Role::value:
      return "value";
    case Role::probabilities:
      return "probabilities";
  }
  return "";
}

ordered_json node_json(const Deployment& deployment, NodeId node) {
  const Plan& plan = *deployment.plan;
  ordered_json entry{{"name", plan.name(node)}, {"role", name_of(plan.role(node))}};
  const auto weight = deployment.weights.find(node);
  if (weight != deployment.weights.end()) {
    entry.update(weight_json(weight->second, plan.parameters.at(plan.name(node))));
    return entry;
  }
  const auto activation = deployment.activations.find(node);
  if (activation == deployment.activations.end()) {
    entry["float"] = true;
    return entry;
  }
  entry.update(activation_json(activation->second));
  const auto shift = deployment.shifts.find(node);
  if (shift != deployment.shifts.end()) entry["shift"] = shift->second;
  return entry;
}

/// float16, or int8 with a scale per row.
void add_factor(TensorMap& tensors, const std::string& name, const Tensor& factor, int64_t bits) {
  if (bits == half_bits) {
    tensors[name] = factor.to(at::kHalf).contiguous();
    return;
  }
  const Tensor scale = factor_steps(factor);
  tensors[name] = (factor / scale.unsqueeze(1)).round().to(at::kChar).contiguous();
  tensors[name + ".scale"] = scale;
}

int64_t parameter_count(const Plan& plan) {
  int64_t count = 0;
  for (const auto& [name, shape] : plan.parameters) count += c10::multiply_integers(shape);
  return count;
}

}  // namespace

Tensor stored_codes(const DeployedWeight& weight) {
  if (in_nibbles(weight.spec)) return nibbles(weight.codes);
  const ElementType* type = element_type(*weight.spec.format);
  return type == nullptr ? weight.codes.contiguous() : weight.codes.contiguous().view(type->torch);
}

Tensor stored_scales(const DeployedWeight& weight) {
  constexpr double e8m0_bias = 127;
  switch (weight.spec.scaling.stored) {
    case ScaleFormat::float16:
      return weight.scale.to(at::kHalf);
    case ScaleFormat::e8m0:
      return at::log2(weight.scale).round().add(e8m0_bias).to(at::kByte);
    case ScaleFormat::e4m3:
      return weight.scale.to(at::kFloat8_e4m3fn);
    case ScaleFormat::float32:
      break;
  }
  return weight.scale;
}

TensorMap packed_tensors(const Deployment& deployment) {
  TensorMap tensors;
  for (const auto& [name, parameter] : deployment.parameters) tensors[name] = parameter.contiguous();
  for (const auto& [node, weight] : deployment.weights) {
    const std::string& name = deployment.plan->name(node);
    tensors[name] = stored_codes(weight);
    tensors[name + ".scale"] = stored_scales(weight).contiguous();
    if (weight.zero_point.defined()) tensors[name + ".zero_point"] = weight.zero_point.contiguous();
    if (weight.factor.defined()) tensors[name + ".factor"] = weight.factor;
    if (weight.left.defined()) {
      add_factor(tensors, name + ".left", weight.left, weight.spec.branch_bits);
      add_factor(tensors, name + ".right", weight.right, weight.spec.branch_bits);
    }
    if (!weight.float_channels.defined()) continue;
    tensors[name + ".float_channels"] = weight.float_channels.contiguous();
    tensors[name + ".float_columns"] = weight.float_columns.contiguous();
  }
  for (const auto& [node, quantizer] : deployment.activations) {
    if (quantizer.spec.scaling.granularity != Granularity::block)
      tensors[deployment.plan->name(node) + ".scale"] = quantizer.scale;
  }
  return tensors;
}

ordered_json export_manifest(const Deployment& deployment, const ExportFacts& facts) {
  ordered_json nodes = ordered_json::array();
  for (const NodeId node : deployment.plan->all_nodes()) nodes.push_back(node_json(deployment, node));
  return {{"format", "eidolon student"},
          {"format_version", export_format_version},
          {"target", facts.target},
          {"program", facts.program},
          {"recipe", facts.recipe},
          {"data_free", facts.data_free},
          {"teacher",
           {{"sha256", facts.teacher_hash},
            {"parameters", parameter_count(*deployment.plan)},
            {"architecture", json::parse(deployment.plan->facts)}}},
          {"images", json::parse(facts.image_facts)},
          {"student", {{"id", facts.student_id}, {"job", json::parse(facts.student_facts)}}},
          {"preprocessing", json::parse(to_json(facts.preprocessing))},
          {"class_names", facts.class_names},
          {"figures", facts.figures.empty() ? ordered_json() : ordered_json::parse(facts.figures)},
          {"nodes", nodes}};
}

}  // namespace eidolon
