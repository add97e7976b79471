#include "quantization/scheme.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "base/bounded_json.h"
#include "base/error.h"
#include "quantization/bit_rules.h"
#include "quantization/low_rank.h"
#include "quantization/named_formats.h"
#include "quantization/recipe.h"

namespace eidolon {
namespace {

using nlohmann::json;

/// Values with heavy tails: q, k, v and what no norm stands in front of. Behind a norm, whose ranges per channel are folded
/// away, and behind a ReLU even steps do better.
bool is_heavy_tailed(const Plan& plan, NodeId node) {
  const Role role = plan.role(node);
  if (role != Role::input) return role == Role::query || role == Role::key || role == Role::value;
  const Product* product = plan.product_reading(node);
  return product != nullptr && product->norm.empty() && !product->one_sided;
}

QuantizerSpec activation_spec(const QuantizationJob& job, const Plan& plan, NodeId node) {
  if (const auto hardware = hardware_activation(job.activation_format, plan.role(node))) return *hardware;
  const Format& format = format_named(job.activation_format, "quantization.activation_format");
  return {.format = is_heavy_tailed(plan, node) ? &format : &formats::uniform, .bits = job.activation_bits};
}

/// Probabilities are never negative.
QuantizerSpec attention_spec(const QuantizationJob& job) {
  if (const auto hardware = hardware_activation(job.attention, Role::probabilities)) return *hardware;
  return {.format = &format_named(job.attention, "quantization.attention"),
          .bits = job.activation_bits,
          .scaling = job.attention_granularity == "row" ? of_row_maximum() : per_tensor};
}

std::optional<QuantizerSpec> spec_of(const QuantizationJob& job, const Plan& plan, NodeId node) {
  if (job.recipe != "research") return recipe_spec(job, plan, node);
  const Role role = plan.role(node);
  if (role == Role::image) return std::nullopt;
  if (role == Role::weight) return weight_spec(job.weight_format, job.weight_bits, job.weight_symmetric);
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
                           .scaling = scaling_from(entry.at("scale"), name),
                           .branch_bits = entry.value("low_rank_bits", int64_t{0})};
  if (spec.branch_bits != 0 && spec.branch_bits != byte_bits && spec.branch_bits != half_bits)
    refuse_entry(name, "low-rank factors of unknown bits");
  const bool sound = format.fixed_bits > 0 ? spec.bits == format.fixed_bits : spec.bits >= 2 && spec.bits <= 8;
  if (!sound) refuse_entry(name, "bits out of range");
  return spec;
}

/// Blocks lie along the channels, which are the last axis of tokens and not of maps.
void refuse_blocks_of_maps(const Scheme& scheme, const Plan& plan) {
  for (const auto& [node, spec] : scheme) {
    if (plan.is_weight(node) || spec.scaling.granularity != Granularity::block) continue;
    const Product* product = plan.product_reading(node);
    if (product == nullptr || !product->convolution) continue;
    throw BadInput("'" + plan.name(node) + "' is the input of a convolution, for which " + spec.format->name +
                   " with a scale per block is not built; choose quantization.recipe int8, w4a8, w4a16, fp8 or research");
  }
}

/// The groups of a grouped convolution have too few inputs for factors.
void give_branches(Scheme& scheme, const Plan& plan, int64_t bits) {
  for (const Product& product : plan.products) {
    const auto found = scheme.find(product.weight);
    const bool is_grouped = product.convolution && product.convolution->groups > 1;
    if (found != scheme.end() && !is_grouped) found->second.branch_bits = bits;
  }
}

}  // namespace

Scheme scheme_of(const QuantizationJob& job, const Plan& plan) {
  Scheme scheme;
  for (const NodeId node : plan.all_nodes()) {
    if (const auto spec = spec_of(job, plan, node)) scheme[node] = *spec;
  }
  for (const BitRule& rule : bit_rules(job.bits_for)) {
    if (rule.bits && job.recipe != "research") {
      throw BadInput("quantization.bits_for: under quantization.recipe = \"" + job.recipe + "\" the rule '" + rule.pattern +
                     "' may only make nodes float; other bits are for \"research\"");
    }
    apply(rule, plan, scheme);
  }
  refuse_blocks_of_maps(scheme, plan);
  if (job.correction == "low_rank") give_branches(scheme, plan, job.low_rank.precision == "int8" ? byte_bits : half_bits);
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
    if (spec.branch_bits > 0) nodes.back()["low_rank_bits"] = spec.branch_bits;
  }
  return json{{"nodes", nodes}}.dump();
}

Scheme scheme_from_json(const std::string& text, const Plan& plan) {
  Scheme scheme;
  try {
    const json manifest = bounded_json(text);
    for (const json& entry : manifest.at("nodes").get_ref<const json::array_t&>()) {
      const auto name = entry.at("name").get<std::string>();
      const auto node = plan.find(name);
      if (!node) refuse_entry(name, "an entry of another network");
      if (!entry.value("float", false)) scheme[*node] = spec_from(entry, name);
    }
  } catch (const json::exception& error) {
    throw Fault(std::string("a stored quantization scheme cannot be read; the file is damaged: ") + error.what());
  } catch (const BadInput& error) {
    throw Fault(std::string("a stored quantization scheme cannot be read; the file is damaged: ") + error.what());
  }
  return scheme;
}

}  // namespace eidolon
