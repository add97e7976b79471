#include "exporting/onnx_attention.h"

#include <cmath>
#include <utility>
#include <vector>

#include "exporting/onnx_values.h"

namespace eidolon::onnx {
namespace {

using Perm = std::vector<int64_t>;

std::string transposed(Graph& graph, const std::string& name, const std::string& x, Perm perm) {
  return op(graph.model, name, "Transpose", {x}, {{"perm", std::move(perm)}});
}

std::string reshaped(Graph& graph, const std::string& name, const std::string& x, const std::vector<int64_t>& shape) {
  return op(graph.model, name, "Reshape", {x, constant(graph.model, shape)});
}

/// Whether the scale of the scores can be a part of the queries' weights without any rounding.
bool scale_can_be_folded(const Graph& graph, const Attention& attention, double scale) {
  const bool is_power_of_two = std::exp2(std::round(std::log2(scale))) == scale;
  if (!is_power_of_two || graph.deployment.activations.contains(attention.query) || !attention.query_norm.empty()) return false;
  const DeployedWeight* weight = integers_of(graph, graph.plan().products[attention.qkv]);
  if (weight == nullptr) return true;
  if (weight->spec.scaling.granularity == Granularity::tensor) return false;
  if (weight->spec.scaling.stored == ScaleFormat::float32) return true;
  const Tensor scaled = weight->scale * scale;
  return weight->spec.scaling.stored == ScaleFormat::float16 && at::equal(scaled.to(at::kHalf).to(at::kFloat), scaled);
}

/// `scale` for the outputs that are queries, the first third, and 1 for the others.
Tensor query_factors(const Graph& graph, const Product& joint, double scale) {
  Tensor factors = at::ones({outputs_of(graph, joint)});
  factors.narrow(0, 0, factors.size(0) / 3).mul_(scale);
  return factors;
}

/// x rolled by `by` places towards lower indices along the axis.
std::string rolled(Graph& graph, const std::string& name, const std::string& x, int64_t axis, int64_t by, int64_t size) {
  const auto piece = [&](int64_t from, int64_t to) {
    return op(graph.model, name, "Slice",
              {x, constant(graph.model, {from}), constant(graph.model, {to}), constant(graph.model, {axis})});
  };
  return op(graph.model, name, "Concat", {piece(by, size), piece(0, by)}, {{"axis", axis}});
}

/// How the grid is cut, and how far it is padded.
struct Cut {
  int64_t grid, side, across, padded, shift;
  bool rolled_first;
};

Cut cut_of(const Attention& attention) {
  const int64_t grid = attention.grid, side = attention.windows.side, across = (grid + side - 1) / side;
  return {grid, side, across, across * side, attention.windows.shift, attention.windows.rolled_first};
}

std::string rolled_map(Graph& graph, const std::string& name, std::string map, int64_t by, int64_t size) {
  for (const int64_t axis : {1, 2}) map = rolled(graph, name, map, axis, by, size);
  return map;
}

/// B x (S S) x C -> (B W) x N x C. What is added to the grid are zeros, to which `border`, [C], is added.
std::string cut(Graph& graph, const std::string& name, const Attention& attention, const std::string& x, const Tensor& border) {
  const Cut c = cut_of(attention);
  const int64_t channels = border.size(0), lack = c.padded - c.grid;
  std::string map = x;
  if (c.shift > 0 || lack > 0) map = reshaped(graph, name, map, {-1, c.grid, c.grid, channels});
  if (c.shift > 0 && c.rolled_first) map = rolled_map(graph, name, map, c.shift, c.grid);
  if (lack > 0) {
    map = op(graph.model, name, "Pad", {map, constant(graph.model, {0, 0, 0, 0, 0, lack, lack, 0})});
    Tensor added = border.expand({1, c.padded, c.padded, channels}).clone();
    added.narrow(1, 0, c.grid).narrow(2, 0, c.grid).zero_();
    map = op(graph.model, name, "Add", {map, constant(graph.model, name + ".border", added)});
  }
  if (c.shift > 0 && !c.rolled_first) map = rolled_map(graph, name, map, c.shift, c.padded);
  map = reshaped(graph, name, map, {-1, c.across, c.side, c.across, c.side, channels});
  return reshaped(graph, name, transposed(graph, name, map, {0, 1, 3, 2, 4, 5}), {-1, c.side * c.side, channels});
}

std::string joined(Graph& graph, const std::string& name, const Attention& attention, const std::string& x, int64_t channels) {
  const Cut c = cut_of(attention);
  std::string map = reshaped(graph, name, x, {-1, c.across, c.across, c.side, c.side, channels});
  map = transposed(graph, name, map, {0, 1, 3, 2, 4, 5});
  if (c.shift > 0 || c.padded > c.grid) map = reshaped(graph, name, map, {-1, c.padded, c.padded, channels});
  if (c.shift > 0 && !c.rolled_first) map = rolled_map(graph, name, map, c.padded - c.shift, c.padded);
  if (c.padded > c.grid) {
    map = op(graph.model, name, "Slice",
             {map, constant(graph.model, {0, 0}), constant(graph.model, {c.grid, c.grid}), constant(graph.model, {1, 2})});
  }
  if (c.shift > 0 && c.rolled_first) map = rolled_map(graph, name, map, c.grid - c.shift, c.grid);
  return reshaped(graph, name, map, {-1, c.grid * c.grid, channels});
}

/// x cos + r(x) sin, where r is a matrix of signs that permutes channels. Tokens in front of the patches turn by nothing.
std::string rotated(Graph& graph, const std::string& name, const Attention& attention, const std::string& x) {
  const Tensor& table = graph.parameter(attention.rotation);
  const int64_t size = table.size(-1), half = size / 2;
  std::vector<int64_t> prefix = table[0].sizes().vec();
  prefix[prefix.size() - 2] = attention.prefix_tokens;
  const Tensor cosines = at::cat({at::ones(prefix), table[0]}, -2), sines = at::cat({at::zeros(prefix), table[1]}, -2);
  Tensor turn = at::zeros({size, size});
  for (int64_t pair = 0; pair < half; ++pair) {
    const int64_t a = attention.rotates_halves ? pair : 2 * pair, b = attention.rotates_halves ? pair + half : 2 * pair + 1;
    turn[b][a] = -1;
    turn[a][b] = 1;
  }
  const std::string straight = op(graph.model, name, "Mul", {x, constant(graph.model, attention.rotation + ".cos", cosines)});
  const std::string quarter = op(graph.model, name, "MatMul", {x, constant(graph.model, attention.rotation + ".turn", turn)});
  const std::string bent = op(graph.model, name, "Mul", {quarter, constant(graph.model, attention.rotation + ".sin", sines)});
  return op(graph.model, name, "Add", {straight, bent});
}

/// What stands between a projection and the scores, for one kind of B x H x N x D/H.
std::string prepared(Graph& graph, const std::string& name, const Attention& attention, const std::string& norm_name,
                     const std::string& x) {
  std::string result = x;
  if (!norm_name.empty()) result = norm(graph, {norm_name, attention.epsilon, attention.centred}, result);
  return attention.rotation.empty() ? result : rotated(graph, name, attention, result);
}

std::string with_biases(Graph& graph, const std::string& name, const Attention& attention, std::string scores) {
  if (!attention.bias.empty()) {
    scores = op(graph.model, name, "Add", {scores, constant(graph.model, attention.bias, graph.parameter(attention.bias))});
  }
  if (attention.windows.mask.empty()) return scores;
  const Tensor& mask = graph.parameter(attention.windows.mask);
  const int64_t windows = mask.size(0), tokens = mask.size(1);
  scores = reshaped(graph, name, scores, {-1, windows, attention.heads, tokens, tokens});
  scores = op(graph.model, name, "Add", {scores, constant(graph.model, attention.windows.mask, mask.unsqueeze(1))});
  return reshaped(graph, name, scores, {-1, attention.heads, tokens, tokens});
}

}  // namespace

std::string norm(Graph& graph, const steps::Norm& norm, const std::string& x) {
  const std::string weight = constant(graph.model, norm.name + ".weight", graph.parameter(norm.name + ".weight"));
  const std::string bias = constant(graph.model, norm.name + ".bias", graph.parameter(norm.name + ".bias"));
  if (norm.centred) {
    return op(graph.model, norm.name, "LayerNormalization", {x, weight, bias},
              {{"axis", int64_t{-1}}, {"epsilon", static_cast<float>(norm.epsilon)}});
  }
  const auto next = [&](const std::string& name, std::vector<std::string> inputs) {
    return op(graph.model, norm.name, name, std::move(inputs));
  };
  const std::string mean = next("ReduceMean", {next("Mul", {x, x}), constant(graph.model, {-1})});
  const std::string epsilon = constant(graph.model, norm.name + ".epsilon", at::scalar_tensor(norm.epsilon, at::kFloat));
  const std::string unit = next("Div", {x, next("Sqrt", {next("Add", {mean, epsilon})})});
  return next("Add", {next("Mul", {unit, weight}), bias});
}

std::string attend(Graph& graph, const Attention& attention, const std::string& x) {
  const Plan& plan = graph.plan();
  Model& model = graph.model;
  const Product &joint = plan.products[attention.qkv], &proj = plan.products[attention.proj];
  const std::string name = layer_name(plan.name(joint.weight));
  const int64_t width = outputs_of(graph, joint) / 3, size = width / attention.heads;
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  const bool folds = scale_can_be_folded(graph, attention, scale), is_cut = attention.windows.side > 0;
  const Tensor factors = folds ? query_factors(graph, joint, scale) : Tensor();
  std::string qkv = linear(graph, joint, x, factors);
  if (is_cut) {
    const auto border = graph.deployment.borders.find(joint.weight);
    const Tensor& bias = border == graph.deployment.borders.end() ? graph.parameter(joint.bias) : border->second;
    qkv = cut(graph, name, attention, qkv, factors.defined() ? bias * factors : bias);
  }
  const auto parts = add_node_with_outputs(
      model, name, {.op = "Split", .inputs = {qkv}, .attributes = {{"axis", int64_t{-1}}, {"num_outputs", int64_t{3}}}}, 3);
  const auto heads = [&](const std::string& part) {
    return transposed(graph, name, reshaped(graph, name, part, {0, 0, attention.heads, size}), {0, 2, 1, 3});
  };
  std::string query = prepared(graph, name, attention, attention.query_norm, heads(parts[0]));
  query = rounded(graph, attention.query, query, size);
  if (!folds) query = op(model, name, "Mul", {query, constant(model, name + ".scale", at::scalar_tensor(scale))});
  const std::string straight = prepared(graph, name, attention, attention.key_norm, heads(parts[1]));
  const std::string key = transposed(graph, name, rounded(graph, attention.key, straight, size), {0, 1, 3, 2});
  const std::string value = rounded(graph, attention.value, heads(parts[2]), size);
  const std::string scores = with_biases(graph, name, attention, op(model, name, "MatMul", {query, key}));
  const std::string softmax = op(model, name, "Softmax", {scores}, {{"axis", int64_t{-1}}});
  const std::string mixed =
      op(model, name, "MatMul", {rounded(graph, attention.probabilities, softmax, attention.tokens()), value});
  std::string together = reshaped(graph, name, transposed(graph, name, mixed, {0, 2, 1, 3}), {0, 0, width});
  if (is_cut) together = joined(graph, name, attention, together, width);
  if (!attention.inner_norm.empty()) {
    together = norm(graph, {attention.inner_norm, attention.epsilon, attention.centred}, together);
  }
  return linear(graph, proj, together);
}

std::string pool_by_attention(Graph& graph, const steps::PoolByAttention& pooling, const std::string& x) {
  Model& model = graph.model;
  const Product &kv = graph.plan().products[pooling.kv], &proj = graph.plan().products[pooling.proj];
  const std::string name = layer_name(graph.plan().name(kv.weight));
  const Tensor& query = graph.parameter(pooling.query);
  const int64_t size = query.size(-1), width = size * pooling.heads;
  const auto parts = add_node_with_outputs(
      model, name,
      {.op = "Split", .inputs = {linear(graph, kv, x)}, .attributes = {{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}}}, 2);
  const auto heads = [&](const std::string& part) { return reshaped(graph, name, part, {0, 0, pooling.heads, size}); };
  const std::string keys = rounded(graph, pooling.key, transposed(graph, name, heads(parts[0]), {0, 2, 1, 3}), size);
  const std::string values = rounded(graph, pooling.value, transposed(graph, name, heads(parts[1]), {0, 2, 1, 3}), size);
  const Tensor scaled = query / std::sqrt(static_cast<double>(size));
  const std::string scores =
      op(model, name, "MatMul", {constant(model, pooling.query, scaled), transposed(graph, name, keys, {0, 1, 3, 2})});
  const std::string softmax = op(model, name, "Softmax", {scores}, {{"axis", int64_t{-1}}});
  const auto tokens = static_cast<int64_t>(graph.plan().sections.at(0).shape.at(0));
  const std::string mixed = op(model, name, "MatMul", {rounded(graph, pooling.probabilities, softmax, tokens), values});
  return linear(graph, proj, reshaped(graph, name, transposed(graph, name, mixed, {0, 2, 1, 3}), {0, 0, width}));
}

}  // namespace eidolon::onnx
