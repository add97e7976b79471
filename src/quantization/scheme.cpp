#include "quantization/scheme.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "quantization/bit_rules.h"

namespace eidolon {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<QuantizerKind, const char*>, 4> kind_names{{{QuantizerKind::uniform, "uniform"},
                                                                           {QuantizerKind::log2, "log2"},
                                                                           {QuantizerKind::log_sqrt2, "log_sqrt2"},
                                                                           {QuantizerKind::companded, "companded"}}};

QuantizerKind kind_of(const std::string& name, const std::string& where) {
  for (const auto& [kind, known] : kind_names) {
    if (name == known) return kind;
  }
  throw BadInput(where + " = \"" + name + "\" is not a kind of quantizer; it is uniform, log2, log_sqrt2 or companded");
}

std::string name_of(QuantizerKind kind) {
  return std::find_if(kind_names.begin(), kind_names.end(), [&](const auto& entry) { return entry.first == kind; })->second;
}

const char* granularity_of(const QuantizerSpec& spec) {
  return spec.of_row_maximum ? "row" : spec.channel_axis < 0 ? "tensor" : "channel";
}

/// A LayerNorm's outputs have folded per-channel ranges, behind which even steps do better; weights stay integers.
bool may_be_companded(NodeKind kind) {
  return kind == NodeKind::query || kind == NodeKind::key || kind == NodeKind::value || kind == NodeKind::proj_input ||
         kind == NodeKind::fc2_input;
}

NodeId node_of(const std::string& name) {
  int block = 0;
  const std::string prefix = "blocks.";
  const bool in_block = name.starts_with(prefix);
  if (in_block) std::from_chars(name.data() + prefix.size(), name.data() + name.size(), block);
  for (const NodeId node : in_block ? block_nodes(block) : all_nodes(0)) {
    if (node_name(node) == name && block >= 0) return node;
  }
  throw Fault("a stored quantization scheme names '" + name + "', which is not a node of a vision transformer");
}

QuantizerSpec spec_from(const json& entry, NodeId node) {
  QuantizerSpec spec;
  spec.kind = kind_of(entry.at("kind").get<std::string>(), "kind");
  spec.bits = entry.at("bits").get<int64_t>();
  spec.symmetric = entry.at("symmetric").get<bool>();
  const auto granularity = entry.at("granularity").get<std::string>();
  const bool per_channel = granularity == "channel";
  spec.of_row_maximum = granularity == "row";
  spec.channel_axis = per_channel ? entry.at("axis").get<int64_t>() : -1;
  const int64_t most_axes = 4;
  if (spec.bits < 2 || spec.bits > 8 || spec.channel_axis >= most_axes || (per_channel && spec.channel_axis < 0)) {
    throw Fault("a stored quantization scheme has bits or an axis out of range at node '" + node_name(node) + "'");
  }
  return spec;
}

void apply(const BitRule& rule, int depth, Scheme& scheme) {
  bool matched = false;
  for (const NodeId node : all_nodes(depth)) {
    const auto found = scheme.find(node);
    if (node.kind == NodeKind::image || !rule.matches(node_name(node))) continue;
    matched = true;
    if (!rule.bits) {
      scheme.erase(node);
    } else if (found != scheme.end()) {
      found->second.bits = *rule.bits;
    }
  }
  if (!matched) {
    throw BadInput("quantization.bits_for: no node of this model matches '" + rule.pattern +
                   "'; manifest.json lists their names");
  }
}

}  // namespace

Scheme scheme_of(const QuantizationJob& job, int depth) {
  const QuantizerSpec weight{QuantizerKind::uniform, job.weight_bits, job.weight_symmetric, /*channel_axis=*/0};
  const QuantizerSpec activation{QuantizerKind::uniform, job.activation_bits, job.activation_symmetric, -1};
  QuantizerSpec heavy_tailed = activation;
  heavy_tailed.kind = kind_of(job.activation_kind, "quantization.activation_kind");
  const QuantizerSpec probabilities{kind_of(job.attention, "quantization.attention"), job.activation_bits,
                                    /*symmetric=*/false, -1, job.attention_granularity == "row"};  // never negative
  Scheme scheme;
  for (const NodeId node : all_nodes(depth)) {
    if (node.kind == NodeKind::image) continue;
    if (node.kind == NodeKind::probabilities) {
      scheme[node] = probabilities;
    } else {
      scheme[node] = is_weight(node.kind) ? weight : may_be_companded(node.kind) ? heavy_tailed : activation;
    }
  }
  for (const BitRule& rule : bit_rules(job.bits_for)) apply(rule, depth, scheme);
  return scheme;
}

std::string scheme_to_json(const Scheme& scheme, int depth) {
  json nodes = json::array();
  for (const NodeId node : all_nodes(depth)) {
    const auto found = scheme.find(node);
    if (found == scheme.end()) {
      nodes.push_back({{"name", node_name(node)}, {"float", true}});
      continue;
    }
    const QuantizerSpec& spec = found->second;
    nodes.push_back({{"name", node_name(node)},
                     {"bits", spec.bits},
                     {"kind", name_of(spec.kind)},
                     {"symmetric", spec.symmetric},
                     {"granularity", granularity_of(spec)},
                     {"axis", spec.channel_axis < 0 ? json() : json(spec.channel_axis)}});
  }
  return json{{"nodes", nodes}}.dump();
}

Scheme scheme_from_json(const std::string& text) {
  Scheme scheme;
  try {
    const json manifest = json::parse(text);
    for (const json& entry : manifest.at("nodes").get_ref<const json::array_t&>()) {
      const NodeId node = node_of(entry.at("name").get<std::string>());
      if (!entry.value("float", false)) scheme[node] = spec_from(entry, node);
    }
  } catch (const json::exception& error) {
    throw Fault(std::string("a stored quantization scheme cannot be read; the file is damaged: ") + error.what());
  } catch (const BadInput& error) {
    throw Fault(std::string("a stored quantization scheme cannot be read: ") + error.what());
  }
  return scheme;
}

}  // namespace eidolon
