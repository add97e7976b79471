#include "synthesis/attention_reading.h"

namespace eidolon {
namespace {

void read(const Plan& plan, const Attention& attention, const AttentionParts& parts, NodeId node, const Tensor& whole,
          AttentionReading& reading) {
  const auto of_patches = [&](int64_t axis) {
    return whole.narrow(axis, attention.prefix_tokens, whole.size(axis) - attention.prefix_tokens);
  };
  if (parts.class_row && node == attention.probabilities) {
    reading.class_row = attention.prefix_tokens > 0 ? whole.select(2, 0) : whole.mean(2);
  }
  if (parts.query_and_key && node == attention.query) reading.query = of_patches(2);
  if (parts.query_and_key && node == attention.key) reading.key = of_patches(2);
  if (parts.output && node == plan.products[attention.proj].input) {
    reading.output = of_patches(1).unflatten(-1, {attention.heads, whole.size(-1) / attention.heads});
  }
}

}  // namespace

AttentionParts operator|(const AttentionParts& a, const AttentionParts& b) {
  return {.class_row = a.class_row || b.class_row,
          .query_and_key = a.query_and_key || b.query_and_key,
          .output = a.output || b.output};
}

Tap reading_tap(const Plan& plan, const AttentionParts& parts, int64_t images, std::vector<AttentionReading>& readings) {
  readings.clear();
  if (!parts.any()) return {};
  readings.resize(plan.attention.size());
  return [&plan, parts, images, &readings](NodeId node, const Tensor& tensor) {
    for (size_t i = 0; i < plan.attention.size(); ++i) {
      const Attention& attention = plan.attention[i];
      const bool is_read = node == attention.probabilities || node == attention.query || node == attention.key ||
                           node == plan.products[attention.proj].input;
      const bool is_cut = plan.role(node) != Role::input;  // into windows, which are images of the attention's nodes
      const int64_t rows = is_cut ? images * attention.window_count() : images;
      if (is_read) read(plan, attention, parts, node, tensor.narrow(0, 0, rows), readings[i]);
    }
    return tensor;
  };
}

}  // namespace eidolon
