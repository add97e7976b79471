// Grows a plan in forward order. What families share when they write theirs down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/plan.h"

namespace eidolon {

/// What a product is, without its nodes.
struct ProductShape {
  std::string name;             ///< "blocks.0.mlp.fc1", of which weight, bias and input node have their names
  std::vector<int64_t> weight;  ///< outputs x inputs, or outputs x C/groups x K x K
  int64_t rows = 1;             ///< for one image: tokens or places
  std::string norm = {};
  bool to_stream = false, one_sided = false;
  std::optional<Convolution> convolution = {};
  std::optional<Source> source = {};
  bool has_statistics = false;  ///< of BatchNorm behind it: the parameter "<name>.statistics", and its outputs are shown
};

class PlanBuilder {
 public:
  explicit PlanBuilder(Plan& plan) : plan_(plan) {}

  /// Of the section that section() ends.
  NodeId node(const std::string& name, Role role, int channel_axis);

  /// Adds the input node "<name>.input" (of the image: "image"), the weight's node and both parameters. Returns its index.
  size_t product(const ProductShape& shape);

  void norm(const std::string& name, int64_t width);  ///< "<name>.weight" and "<name>.bias"
  void parameter(const std::string& name, const std::vector<int64_t>& shape);

  /// Adds query, key, value and probabilities "<name>.q", ".k", ".v", ".probs" and both products "<name>.qkv", "<name>.proj".
  /// `attention` has heads, grid, prefix and windows; `width` is of the tokens, `norm` the one in front. Returns its index.
  size_t attention(const std::string& name, int64_t width, const std::string& norm, Attention attention);

  size_t products() const { return plan_.products.size(); }

  void section(const std::string& name, Layout layout, const std::vector<int64_t>& shape, std::vector<Step> steps);

 private:
  Plan& plan_;
};

}  // namespace eidolon
