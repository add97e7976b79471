#include "exporting/onnx_products.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "exporting/onnx_values.h"

namespace eidolon::onnx {
namespace {

constexpr double byte_range = 255;

int64_t inputs_of(const Graph& graph, const Product& product) {
  return graph.plan().parameters.at(graph.plan().name(product.weight)).at(1);
}

/// The weight as inputs x outputs; `factors`, if defined, multiply its outputs.
std::string weight_of(Graph& graph, const Product& product, const Tensor& factors) {
  const std::string& name = graph.plan().name(product.weight);
  const DeployedWeight* integers = integers_of(graph, product);
  const auto along_outputs = [&](int64_t dimensions) { return dimensions > 1 ? factors.reshape({-1, 1}) : factors; };
  if (integers == nullptr) {
    const Tensor& weight = graph.parameter(name);
    return constant(graph.model, name, (factors.defined() ? weight * along_outputs(2) : weight).t());
  }
  DeployedWeight scaled = *integers;
  if (factors.defined()) scaled.scale = scaled.scale * along_outputs(scaled.scale.dim());
  if (!graph.settings.computed_scales && scaled.spec.scaling.stored == ScaleFormat::float16)
    scaled.spec.scaling.stored = ScaleFormat::float32;
  return dequantized_weight(graph.model, name, scaled);
}

std::vector<int64_t> channel_list(const Tensor& channels) {
  return {channels.const_data_ptr<int64_t>(), channels.const_data_ptr<int64_t>() + channels.numel()};
}

bool is_tiled(const Plan& plan, const Convolution& convolution) {
  return convolution.stride == convolution.kernel && convolution.padding == 0 && convolution.padding_after == 0 &&
         plan.image_size % convolution.kernel == 0;
}

enum class Border { of_zeros, is_there };

std::string conv(Graph& graph, const Product& product, std::vector<std::string> inputs, Border border = Border::of_zeros) {
  const auto& [kernel, stride, padding, padding_after, groups] = product.convolution.value();
  const std::vector<int64_t> pads{padding, padding, padding_after, padding_after};
  return op(graph.model, layer_name(graph.plan().name(product.weight)), "Conv", std::move(inputs),
            {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
             {"strides", std::vector<int64_t>{stride, stride}},
             {"pads", border == Border::of_zeros ? pads : std::vector<int64_t>(pads.size(), 0)},
             {"group", groups}});
}

Tensor bias_for_bytes(const Graph& graph, const Product& product, const Tensor& weight) {
  const at::TensorOptions exact = at::TensorOptions(at::kDouble);
  const Tensor offset = graph.preprocessing.mean_tensor(exact) / graph.preprocessing.std_tensor(exact);
  const Tensor moved = (weight.to(at::kDouble) * offset).flatten(1).sum(1);
  return (graph.parameter(product.bias).to(at::kDouble) - moved).to(at::kFloat);
}

/// y = sum over colours c of W_c (b / 255 - mean_c) / std_c for bytes b: one integer product a colour, all else in its scale
/// and in the bias.
std::string colour_products(Graph& graph, const Product& product, const DeployedWeight& weight, const std::string& x) {
  const std::string name = layer_name(graph.plan().name(product.weight));
  const int64_t channels = graph.plan().channels, kernel = product.convolution.value().kernel,
                grid = graph.plan().image_size / kernel;
  const auto colours = add_node_with_outputs(
      graph.model, name, {.op = "Split", .inputs = {x}, .attributes = {{"axis", int64_t{1}}, {"num_outputs", channels}}},
      static_cast<int>(channels));
  const Tensor zero = at::zeros({}, at::kByte);
  const std::string one = constant(graph.model, name + ".step", at::scalar_tensor(1.0));
  const std::string none = add_initializer(graph.model, name + ".zero_point", from_tensor(zero));
  std::string sum;
  for (int64_t c = 0; c < channels; ++c) {
    const std::string tiles = op(graph.model, name, "Reshape",
                                 {colours[static_cast<size_t>(c)], constant(graph.model, {-1, grid, kernel, grid, kernel})});
    const std::string moved = op(graph.model, name, "Transpose", {tiles}, {{"perm", std::vector<int64_t>{0, 1, 3, 2, 4}}});
    const std::string bytes =
        op(graph.model, name, "Reshape", {moved, constant(graph.model, {-1, grid * grid, kernel * kernel})});
    const DeployedWeight colour{
        .spec = {.bits = weight.spec.bits, .symmetric = true, .scaling = per_channel(0)},
        .codes = weight.codes.select(1, c),
        .scale = weight.scale.select(1, c) / (byte_range * graph.preprocessing.std.at(static_cast<size_t>(c))),
        .zero_point = {},
        .factor = {},
        .float_channels = {},
        .float_columns = {}};
    const std::string exact = op(graph.model, name, "DequantizeLinear", {bytes, one, none});
    const std::string values =
        dequantized_weight(graph.model, graph.plan().name(product.weight) + "." + std::to_string(c), colour);
    const std::string part = op(graph.model, name, "MatMul", {exact, values});
    sum = sum.empty() ? part : op(graph.model, name, "Add", {sum, part});
  }
  return op(graph.model, name, "Add",
            {sum, constant(graph.model, product.bias, bias_for_bytes(graph, product, dequantized(weight)))});
}

/// Integers of such a weight are turned into float once, when the runtime loads the file.
std::string float_convolution(Graph& graph, const Product& product, const std::string& input, bool reads_bytes, bool colours) {
  const DeployedWeight* integers = integers_of(graph, product);
  const std::string &weight_name = graph.plan().name(product.weight), name = layer_name(weight_name);
  Tensor weight = integers != nullptr ? whole_weight(*integers) : graph.parameter(weight_name);
  Tensor bias = graph.parameter(product.bias);

  std::string x = input, values;
  if (reads_bytes) {
    bias = bias_for_bytes(graph, product, weight);
    weight = weight / (graph.preprocessing.std_tensor() * byte_range);
    x = op(graph.model, name, "Cast", {x}, {{"to", static_cast<int64_t>(Type::float32)}});
  } else if (colours && graph.settings.computed_scales) {
    const std::string codes = add_initializer(graph.model, weight_name, from_tensor(integers->codes.contiguous()));
    const std::string exact = op(graph.model, weight_name, "Cast", {codes}, {{"to", static_cast<int64_t>(Type::float32)}});
    const std::string scale =
        constant(graph.model, weight_name + ".scale", integers->scale.reshape({weight.size(0), weight.size(1), 1, 1}));
    values = op(graph.model, weight_name, "Mul", {exact, scale});
  }
  if (values.empty()) values = constant(graph.model, weight_name, weight);
  const std::string maps = conv(graph, product, {x, values, constant(graph.model, product.bias, bias)});
  const std::string rows = op(graph.model, name, "Reshape", {maps, constant(graph.model, {0, weight.size(0), -1})});
  return op(graph.model, name, "Transpose", {rows}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
}

/// Bytes as the network's input: where borders of zeros are added, the normalisation cannot be a part of the weights.
std::string normalised_bytes(Graph& graph, const std::string& x) {
  const std::string exact = op(graph.model, "image", "Cast", {x}, {{"to", static_cast<int64_t>(Type::float32)}});
  const std::string mean = constant(graph.model, "image.mean", graph.preprocessing.mean_tensor() * byte_range);
  const std::string deviation = constant(graph.model, "image.std", graph.preprocessing.std_tensor() * byte_range);
  return op(graph.model, "image", "Div", {op(graph.model, "image", "Sub", {exact, mean}), deviation});
}

/// x - c where the product's input has the shift c.
std::string shifted(Graph& graph, NodeId node, const std::string& x) {
  const auto shift = graph.deployment.shifts.find(node);
  if (shift == graph.deployment.shifts.end()) return x;
  const std::string& name = graph.plan().name(node);
  return op(graph.model, name, "Sub", {x, constant(graph.model, name + ".shift", at::scalar_tensor(shift->second))});
}

/// A border of zeros around maps that were shifted.
std::string with_shifted_border(Graph& graph, const Product& product, const std::string& x) {
  const auto& [kernel, stride, padding, padding_after, groups] = product.convolution.value();
  const std::string& name = graph.plan().name(product.input);
  const std::string border =
      constant(graph.model, name + ".border", at::scalar_tensor(-graph.deployment.shifts.at(product.input)));
  const std::vector<int64_t> pads{0, 0, padding, padding, 0, 0, padding_after, padding_after};
  return op(graph.model, name, "Pad", {x, constant(graph.model, pads), border});
}

}  // namespace

std::string layer_name(const std::string& weight) {
  return weight.substr(0, weight.rfind('.'));
}

int64_t outputs_of(const Graph& graph, const Product& product) {
  return graph.plan().parameters.at(graph.plan().name(product.weight)).at(0);
}

const DeployedWeight* integers_of(const Graph& graph, const Product& product) {
  const auto found = graph.deployment.weights.find(product.weight);
  return found == graph.deployment.weights.end() ? nullptr : &found->second;
}

std::string rounded(Graph& graph, NodeId node, const std::string& x, int64_t channels) {
  const auto found = graph.deployment.activations.find(node);
  if (found == graph.deployment.activations.end()) return x;
  return rounded(graph.model, {.node = graph.plan().name(node), .x = x, .channels = channels}, found->second);
}

std::string linear(Graph& graph, const Product& product, const std::string& input, const Tensor& factors) {
  const std::string name = layer_name(graph.plan().name(product.weight));
  const std::string x = shifted(graph, product.input, input);
  const std::string multiplied = rounded(graph, product.input, x, inputs_of(graph, product));
  std::string y = op(graph.model, name, "MatMul", {multiplied, weight_of(graph, product, factors)});
  const DeployedWeight* integers = integers_of(graph, product);
  if (integers != nullptr && integers->left.defined()) {
    const Tensor left = factors.defined() ? integers->left * factors.reshape({-1, 1}) : integers->left;
    const std::string projected =
        op(graph.model, name, "MatMul", {multiplied, constant(graph.model, name + ".right", integers->right.t())});
    const std::string branch = op(graph.model, name, "MatMul", {projected, constant(graph.model, name + ".left", left.t())});
    y = op(graph.model, name, "Add", {y, branch});
  }
  if (integers != nullptr && integers->float_channels.defined()) {
    const std::string channels = constant(graph.model, channel_list(integers->float_channels));
    const std::string picked = op(graph.model, name, "Gather", {x, channels}, {{"axis", int64_t{-1}}});
    const Tensor columns = factors.defined() ? integers->float_columns * factors.reshape({-1, 1}) : integers->float_columns;
    const std::string side =
        op(graph.model, name, "MatMul", {picked, constant(graph.model, name + ".float_columns", columns.t())});
    y = op(graph.model, name, "Add", {y, side});
  }
  const Tensor& bias = graph.parameter(product.bias);
  return op(graph.model, name, "Add", {y, constant(graph.model, product.bias, factors.defined() ? bias * factors : bias)});
}

std::string convolution_to_tokens(Graph& graph, const Product& product, const std::string& x) {
  const DeployedWeight* integers = integers_of(graph, product);
  const Convolution& shape = product.convolution.value();
  const bool reads_bytes = graph.plan().role(product.input) == Role::image && graph.settings.input == ImageInput::bytes;
  const bool colours = integers != nullptr && integers->spec.format->is_uniform && !integers->zero_point.defined() &&
                       !integers->left.defined() && integers->spec.scaling == per_block(1, shape.kernel * shape.kernel);
  if (reads_bytes && colours && is_tiled(graph.plan(), shape)) return colour_products(graph, product, *integers, x);
  return float_convolution(graph, product, x, reads_bytes, colours);
}

std::string convolution_to_maps(Graph& graph, const Product& product, const std::string& input) {
  const std::string& weight_name = graph.plan().name(product.weight);
  const DeployedWeight* integers = integers_of(graph, product);
  const bool reads_bytes = graph.plan().role(product.input) == Role::image && graph.settings.input == ImageInput::bytes;
  std::string x = shifted(graph, product.input, reads_bytes ? normalised_bytes(graph, input) : input);
  const Convolution& shape = product.convolution.value();
  const bool has_border = shape.padding > 0 || shape.padding_after > 0;
  const bool is_padded = has_border && graph.deployment.shifts.contains(product.input);
  if (is_padded) x = with_shifted_border(graph, product, x);
  std::string values;
  if (integers != nullptr && integers->spec.format->is_uniform && integers->spec.bits == 8 && !integers->zero_point.defined() &&
      integers->spec.scaling == per_channel(0)) {
    const std::string codes = add_initializer(graph.model, weight_name, from_tensor(integers->codes.contiguous()));
    const std::string scale = constant(graph.model, weight_name + ".scale", integers->scale.flatten());
    values = op(graph.model, weight_name, "DequantizeLinear", {codes, scale}, {{"axis", int64_t{0}}});
  } else {
    values = constant(graph.model, weight_name, integers != nullptr ? dequantized(*integers) : graph.parameter(weight_name));
  }
  const std::string bias = constant(graph.model, product.bias, graph.parameter(product.bias));
  const std::string multiplied = rounded(graph, product.input, x, 0);
  const Border border = is_padded ? Border::is_there : Border::of_zeros;
  std::string maps = conv(graph, product, {multiplied, values, bias}, border);
  if (integers == nullptr || !integers->left.defined()) return maps;
  const std::string name = layer_name(weight_name);
  const std::vector<int64_t>& weight_shape = graph.plan().parameters.at(weight_name);
  const Tensor right = integers->right.view({-1, weight_shape[1], weight_shape[2], weight_shape[3]});
  const std::string projected = conv(graph, product, {multiplied, constant(graph.model, name + ".right", right)}, border);
  const Tensor left = integers->left.view({weight_shape[0], -1, 1, 1});
  const std::string branch = op(graph.model, name, "Conv", {projected, constant(graph.model, name + ".left", left)},
                                {{"kernel_shape", std::vector<int64_t>{1, 1}}});
  return op(graph.model, name, "Add", {maps, branch});
}

}  // namespace eidolon::onnx
