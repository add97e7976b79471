#include "synthesis/attention_reading.h"

#include <algorithm>
#include <utility>

#include "model/parts/attention.h"

namespace eidolon {
namespace {

Tensor class_row(const Network& network, const Attention& attention, const Tensor& probabilities) {
  if (attention.prefix_tokens > 0) return probabilities.select(2, 0);
  if (attention.windows.side == 0) return probabilities.mean(2);
  const Tensor queries = seen_pairs(network, attention).sum(1);  // W x N: that see each key
  const int64_t windows = queries.size(0);
  const Tensor sums = probabilities.sum(2).unflatten(0, {-1, windows}) / queries.unsqueeze(1);  // B x W x H x N
  return join_windows(sums.flatten(0, 1).transpose(1, 2), attention).transpose(1, 2);
}

void read(const Network& network, const Attention& attention, const AttentionParts& parts, NodeId node, const Tensor& whole,
          AttentionReading& reading) {
  const int64_t windows = attention.window_count();
  const bool is_cut = attention.windows.side > 0;
  const auto of_patches = [&](int64_t axis) {
    if (is_cut) return node == network.plan->products[attention.proj].input ? whole : whole.unflatten(0, {-1, windows});
    return whole.narrow(axis, attention.prefix_tokens, whole.size(axis) - attention.prefix_tokens);
  };
  if (parts.class_row && node == attention.probabilities) reading.class_row = class_row(network, attention, whole);
  if (parts.query_and_key && node == attention.query) reading.query = of_patches(2);
  if (parts.query_and_key && node == attention.key) reading.key = of_patches(2);
  if (parts.output && node == network.plan->products[attention.proj].input) {
    Tensor outputs = of_patches(1);
    if (is_cut) {
      const Tensor border = at::zeros({whole.size(-1)}, whole.options());
      outputs = cut_into_windows(whole, attention, border).unflatten(0, {-1, windows});
    }
    reading.output = outputs.unflatten(-1, {attention.heads, whole.size(-1) / attention.heads});
  }
}

constexpr int64_t fewest_places = 9, most_places = 400;  ///< of maps: all pairs of places are compared

Tap map_reading_tap(const Network& network, int64_t images, std::vector<AttentionReading>& readings) {
  std::vector<NodeId> nodes = map_nodes(*network.plan);
  readings.resize(nodes.size());
  return [nodes = std::move(nodes), images, &readings](NodeId node, const Tensor& tensor) {
    const auto found = std::ranges::find(nodes, node);
    if (found != nodes.end()) {
      const Tensor places = tensor.narrow(0, 0, images).flatten(2).transpose(1, 2);
      readings[static_cast<size_t>(found - nodes.begin())].output = places.unsqueeze(2);
    }
    return tensor;
  };
}

}  // namespace

std::vector<NodeId> map_nodes(const Plan& plan) {
  std::vector<NodeId> nodes;
  for (int section = 1; section < plan.section_count(); ++section) {
    const Section& before = plan.sections[static_cast<size_t>(section) - 1];
    if (before.output != Layout::maps) continue;
    const int64_t places = before.shape.at(1) * before.shape.at(2);
    if (places < fewest_places || places > most_places) continue;
    for (const NodeId node : plan.nodes_of(section)) {
      const Product* product = plan.role(node) == Role::input ? plan.product_reading(node) : nullptr;
      if (product == nullptr) continue;
      if (product->convolution) nodes.push_back(node);  // a head pools its maps before it multiplies
      break;
    }
  }
  return nodes;
}

AttentionParts operator|(const AttentionParts& a, const AttentionParts& b) {
  return {.class_row = a.class_row || b.class_row,
          .query_and_key = a.query_and_key || b.query_and_key,
          .output = a.output || b.output};
}

Tap reading_tap(const Network& network, const AttentionParts& parts, int64_t images, std::vector<AttentionReading>& readings) {
  readings.clear();
  if (!parts.any()) return {};
  const Plan& plan = *network.plan;
  if (plan.attention.empty()) return map_reading_tap(network, images, readings);
  readings.resize(plan.attention.size());
  return [&network, &plan, parts, images, &readings](NodeId node, const Tensor& tensor) {
    for (size_t i = 0; i < plan.attention.size(); ++i) {
      const Attention& attention = plan.attention[i];
      const bool is_read = node == attention.probabilities || node == attention.query || node == attention.key ||
                           node == plan.products[attention.proj].input;
      const bool is_cut = node != plan.products[attention.proj].input;  // into windows, which are images of the other nodes
      const int64_t rows = is_cut ? images * attention.window_count() : images;
      if (is_read) read(network, attention, parts, node, tensor.narrow(0, 0, rows), readings[i]);
    }
    return tensor;
  };
}

}  // namespace eidolon
