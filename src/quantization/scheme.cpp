#include "quantization/scheme.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "quantization/bit_rules.h"

namespace eidolon {
namespace {

using nlohmann::json;

/// What hardware multiplies: an element format and what shares its scale. Weights are calibrated; where scales follow from the
/// values, those of the activations are computed from each tensor, as a runtime would.
struct HardwareFormat {
  std::string_view name;
  const Format* format;
  int64_t block;  ///< values that share a scale; 0: a weight's output channel, an activation's whole tensor
  ScaleFormat stored;
};

const std::array hardware_formats{
    HardwareFormat{"fp8_e4m3", &formats::e4m3, 0, ScaleFormat::float32},  // OCP OFP8
    HardwareFormat{"fp8_e5m2", &formats::e5m2, 0, ScaleFormat::float32},
    HardwareFormat{"mxfp8_e4m3", &formats::e4m3, 32, ScaleFormat::e8m0},  // OCP MX 1.0
    HardwareFormat{"mxfp8_e5m2", &formats::e5m2, 32, ScaleFormat::e8m0},
    HardwareFormat{"mxfp6_e3m2", &formats::e3m2, 32, ScaleFormat::e8m0},
    HardwareFormat{"mxfp6_e2m3", &formats::e2m3, 32, ScaleFormat::e8m0},
    HardwareFormat{"mxfp4", &formats::e2m1, 32, ScaleFormat::e8m0},
    HardwareFormat{"nvfp4", &formats::e2m1, 16, ScaleFormat::e4m3},  // NVIDIA Blackwell
};

const HardwareFormat* hardware_format(const std::string& name) {
  for (const HardwareFormat& entry : hardware_formats) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

/// "integer": even steps, a scale per output channel. "integer_block32": a scale per 32 inputs; 64 and 128 likewise.
QuantizerSpec weight_spec(const QuantizationJob& job) {
  if (const HardwareFormat* hardware = hardware_format(job.weight_format)) {
    const Scaling scaling = hardware->block == 0 ? per_channel(0) : per_block(1, hardware->block, hardware->stored);
    return {.format = hardware->format, .bits = hardware->format->fixed_bits, .scaling = scaling};
  }
  QuantizerSpec spec{.bits = job.weight_bits, .symmetric = job.weight_symmetric, .scaling = per_channel(0)};
  if (job.weight_format == "integer") return spec;
  for (const int64_t block : {32, 64, 128}) {
    if (job.weight_format != "integer_block" + std::to_string(block)) continue;
    spec.scaling = per_block(1, block);
    return spec;
  }
  throw BadInput("quantization.weight_format = \"" + job.weight_format + "\" is not known; `eidolon keys --all` lists what is");
}

/// The axis along which a product sums, where blocks lie: of values the tokens, of all others the last.
int64_t summed_axis(Role role) {
  return role == Role::value ? 2 : -1;
}

QuantizerSpec hardware_activation(const HardwareFormat& hardware, Role role) {
  const Scaling scaling =
      hardware.block == 0 ? per_tensor : per_block(summed_axis(role), hardware.block, hardware.stored, /*from_values=*/true);
  return {.format = hardware.format, .bits = hardware.format->fixed_bits, .scaling = scaling};
}

/// Values with heavy tails: q, k, v and what no norm stands in front of. Behind a norm, whose ranges per channel are folded
/// away, and behind a ReLU even steps do better.
bool is_heavy_tailed(const Plan& plan, NodeId node) {
  const Role role = plan.role(node);
  if (role != Role::input) return role == Role::query || role == Role::key || role == Role::value;
  const Product* product = plan.product_reading(node);
  return product != nullptr && product->norm.empty() && !product->one_sided;
}

QuantizerSpec activation_spec(const QuantizationJob& job, const Plan& plan, NodeId node) {
  if (const HardwareFormat* hardware = hardware_format(job.activation_format)) {
    return hardware_activation(*hardware, plan.role(node));
  }
  const Format& format = format_named(job.activation_format, "quantization.activation_format");
  return {.format = is_heavy_tailed(plan, node) ? &format : &formats::uniform,
          .bits = job.activation_bits,
          .symmetric = job.activation_symmetric};
}

/// Probabilities are never negative.
QuantizerSpec attention_spec(const QuantizationJob& job) {
  if (const HardwareFormat* hardware = hardware_format(job.attention)) {
    return hardware_activation(*hardware, Role::probabilities);
  }
  return {.format = &format_named(job.attention, "quantization.attention"),
          .bits = job.activation_bits,
          .scaling = job.attention_granularity == "row" ? of_row_maximum() : per_tensor};
}

QuantizerSpec spec_of(const QuantizationJob& job, const Plan& plan, NodeId node) {
  const Role role = plan.role(node);
  if (role == Role::weight) return weight_spec(job);
  return role == Role::probabilities ? attention_spec(job) : activation_spec(job, plan, node);
}

void apply(const BitRule& rule, const Plan& plan, Scheme& scheme) {
  bool matched = false;
  for (const NodeId node : plan.all_nodes()) {
    if (plan.role(node) == Role::image || !rule.matches(plan.name(node))) continue;
    matched = true;
    const auto found = scheme.find(node);
    if (!rule.bits) {
      scheme.erase(node);
    } else if (found != scheme.end()) {
      const Format& format = *found->second.format;
      if (format.fixed_bits > 0 && format.fixed_bits != *rule.bits) {
        throw BadInput("quantization.bits_for: '" + plan.name(node) + "' is " + format.name + ", which has " +
                       std::to_string(format.fixed_bits) + " bits and no other; a rule may only make it \"float\"");
      }
      found->second.bits = *rule.bits;
    }
  }
  if (!matched) {
    throw BadInput("quantization.bits_for: no node of this model matches '" + rule.pattern +
                   "'; manifest.json lists their names");
  }
}

json json_of(const Scaling& scaling) {
  const bool has_axis = scaling.granularity == Granularity::channel || scaling.granularity == Granularity::block;
  return {{"granularity", name_of(scaling.granularity)},
          {"axis", has_axis ? json(scaling.axis) : json()},
          {"block", scaling.granularity == Granularity::block ? json(scaling.block) : json()},
          {"stored", name_of(scaling.stored)},
          {"from_values", scaling.from_values}};
}

[[noreturn]] void refuse_entry(const std::string& name, const std::string& what) {
  throw Fault("a stored quantization scheme has " + what + " at node '" + name + "'; the file is damaged");
}

Scaling scaling_from(const json& fields, const std::string& name) {
  const auto granularity = granularity_named(fields.at("granularity").get<std::string>());
  const auto stored = scale_format_named(fields.at("stored").get<std::string>());
  if (!granularity || !stored) refuse_entry(name, "an unknown granularity or format of scales");
  Scaling scaling{.granularity = *granularity, .from_values = fields.at("from_values").get<bool>(), .stored = *stored};
  if (*granularity == Granularity::channel || *granularity == Granularity::block)
    scaling.axis = fields.at("axis").get<int64_t>();
  if (*granularity == Granularity::block) scaling.block = fields.at("block").get<int64_t>();
  constexpr int64_t most_axes = 4;
  const bool sound_axis = scaling.axis < most_axes && scaling.axis >= (*granularity == Granularity::channel ? 0 : -1);
  if (!sound_axis || (*granularity == Granularity::block && scaling.block < 1))
    refuse_entry(name, "an axis or a block out of range");
  return scaling;
}

QuantizerSpec spec_from(const json& entry, const std::string& name) {
  const Format& format = format_named(entry.at("format").get<std::string>(), "format");
  const QuantizerSpec spec{.format = &format,
                           .bits = entry.at("bits").get<int64_t>(),
                           .symmetric = entry.at("symmetric").get<bool>(),
                           .scaling = scaling_from(entry.at("scale"), name)};
  const bool sound = format.fixed_bits > 0 ? spec.bits == format.fixed_bits : spec.bits >= 2 && spec.bits <= 8;
  if (!sound) refuse_entry(name, "bits out of range");
  return spec;
}

}  // namespace

Scheme scheme_of(const QuantizationJob& job, const Plan& plan) {
  Scheme scheme;
  for (const NodeId node : plan.all_nodes()) {
    if (plan.role(node) != Role::image) scheme[node] = spec_of(job, plan, node);
  }
  for (const BitRule& rule : bit_rules(job.bits_for)) apply(rule, plan, scheme);
  return scheme;
}

std::string scheme_to_json(const Scheme& scheme, const Plan& plan) {
  json nodes = json::array();
  for (const NodeId node : plan.all_nodes()) {
    const auto found = scheme.find(node);
    if (found == scheme.end()) {
      nodes.push_back({{"name", plan.name(node)}, {"float", true}});
      continue;
    }
    const QuantizerSpec& spec = found->second;
    nodes.push_back({{"name", plan.name(node)},
                     {"format", spec.format->name},
                     {"bits", spec.bits},
                     {"symmetric", spec.symmetric},
                     {"scale", json_of(spec.scaling)}});
  }
  return json{{"nodes", nodes}}.dump();
}

Scheme scheme_from_json(const std::string& text, const Plan& plan) {
  Scheme scheme;
  try {
    const json manifest = json::parse(text);
    for (const json& entry : manifest.at("nodes").get_ref<const json::array_t&>()) {
      const auto name = entry.at("name").get<std::string>();
      const NodeId node = plan.node(name);
      if (!entry.value("float", false)) scheme[node] = spec_from(entry, name);
    }
  } catch (const json::exception& error) {
    throw Fault(std::string("a stored quantization scheme cannot be read; the file is damaged: ") + error.what());
  } catch (const BadInput& error) {
    throw Fault(std::string("a stored quantization scheme cannot be read: ") + error.what());
  }
  return scheme;
}

}  // namespace eidolon
