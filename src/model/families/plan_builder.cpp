#include "model/families/plan_builder.h"

#include <functional>
#include <numeric>
#include <utility>

namespace eidolon {

NodeId PlanBuilder::node(const std::string& name, Role role, int channel_axis) {
  const auto section = static_cast<int>(plan_.sections.size());
  plan_.nodes.push_back({.name = name, .role = role, .section = section, .channel_axis = channel_axis});
  return {static_cast<int32_t>(plan_.nodes.size()) - 1};
}

size_t PlanBuilder::product(const ProductShape& shape) {
  const bool reads_image = plan_.nodes.empty();
  const bool is_vector = shape.rows == 1 && !shape.convolution;
  const int axis = shape.convolution || is_vector ? 1 : 2;
  const NodeId input = reads_image ? node("image", Role::image, 1) : node(shape.name + ".input", Role::input, axis);
  const NodeId weight = node(shape.name + ".weight", Role::weight, 0);
  parameter(shape.name + ".weight", shape.weight);
  parameter(shape.name + ".bias", {shape.weight.front()});
  const int64_t per_row = std::accumulate(shape.weight.begin(), shape.weight.end(), int64_t{1}, std::multiplies<>());
  plan_.macs += static_cast<double>(shape.rows) * static_cast<double>(per_row);
  const std::string statistics = shape.has_statistics ? shape.name + ".statistics" : "";
  if (shape.has_statistics) parameter(statistics, {2, shape.weight.front()});
  const NodeId output{shape.has_statistics ? -2 - static_cast<int32_t>(plan_.products.size()) : -1};
  plan_.products.push_back({.input = input,
                            .weight = weight,
                            .bias = shape.name + ".bias",
                            .convolution = shape.convolution,
                            .norm = shape.norm,
                            .to_stream = shape.to_stream,
                            .one_sided = shape.one_sided,
                            .source = shape.source,
                            .output = output,
                            .statistics = statistics});
  return plan_.products.size() - 1;
}

void PlanBuilder::norm(const std::string& name, int64_t width) {
  parameter(name + ".weight", {width});
  parameter(name + ".bias", {width});
}

void PlanBuilder::parameter(const std::string& name, const std::vector<int64_t>& shape) {
  plan_.parameters[name] = shape;
}

size_t PlanBuilder::attention(const std::string& name, int64_t width, const std::string& norm_in_front, Attention attention) {
  const int64_t tokens = attention.prefix_tokens + attention.grid * attention.grid;
  attention.qkv = product({.name = name + ".qkv", .weight = {3 * width, width}, .rows = tokens, .norm = norm_in_front});
  attention.query = node(name + ".q", Role::query, 3);
  attention.key = node(name + ".k", Role::key, 3);
  attention.value = node(name + ".v", Role::value, 3);
  attention.probabilities = node(name + ".probs", Role::probabilities, 3);
  attention.proj = product(
      {.name = name + ".proj", .weight = {width, width}, .rows = tokens, .norm = attention.inner_norm, .to_stream = true});
  const auto sharing = static_cast<double>(attention.tokens());
  const auto windows = static_cast<double>(attention.window_count());
  plan_.macs += 2 * windows * sharing * sharing * static_cast<double>(width);
  const int64_t head = width / attention.heads;
  for (const std::string& inner : {attention.query_norm, attention.key_norm}) {
    if (!inner.empty()) norm(inner, head);
  }
  if (!attention.inner_norm.empty()) norm(attention.inner_norm, width);
  plan_.attention.push_back(std::move(attention));
  return plan_.attention.size() - 1;
}

void PlanBuilder::section(const std::string& name, Layout layout, const std::vector<int64_t>& shape, std::vector<Step> steps) {
  plan_.sections.push_back({.name = name, .output = layout, .shape = shape, .steps = std::move(steps)});
}

}  // namespace eidolon
