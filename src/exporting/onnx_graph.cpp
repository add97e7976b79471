#include "exporting/onnx_graph.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "exporting/element_type.h"
#include "exporting/onnx_values.h"

namespace eidolon {
namespace {

using onnx::constant;
using onnx::op;

/// "blocks.0.attn.qkv" of "blocks.0.attn.qkv.weight".
std::string layer_name(const std::string& weight) {
  return weight.substr(0, weight.rfind('.'));
}

/// Adds the steps of a plan to a graph, one after the other.
class GraphWriter {
 public:
  GraphWriter(const Deployment& deployment, const Preprocessing& preprocessing, const GraphSettings& settings,
              onnx::Model& model)
      : deployment_(deployment), plan_(*deployment.plan), preprocessing_(preprocessing), settings_(settings), model_(model) {}

  /// Returns the name of the output.
  std::string write() {
    x_ = "image";
    for (const Section& section : plan_.sections) {
      for (size_t i = 0; i < section.steps.size(); ++i) {
        section_ = section.name;
        const bool merged = i + 1 < section.steps.size() && prepend_and_add(section.steps[i], section.steps[i + 1]);
        if (merged) {
          ++i;
        } else {
          std::visit(*this, section.steps[i]);
        }
      }
    }
    return one_token_ ? op(model_, "logits", "Squeeze", {x_, constant(model_, {1})}) : x_;
  }

  void operator()(const steps::Branch&) { kept_.push_back(x_); }

  void operator()(const steps::Join&) {
    x_ = op(model_, section_, "Add", {kept_.back(), x_});
    kept_.pop_back();
  }

  void operator()(const steps::Norm& norm) {
    x_ = op(model_, norm.name, "LayerNormalization", {x_, parameter(norm.name + ".weight"), parameter(norm.name + ".bias")},
            {{"axis", int64_t{-1}}, {"epsilon", static_cast<float>(norm.epsilon)}});
  }

  void operator()(const steps::Gelu&) { x_ = op(model_, section_, "Gelu", {x_}); }

  void operator()(const steps::Multiply& step) {
    const Product& product = plan_.products[step.product];
    x_ = product.convolution ? convolution(product) : linear(product, x_);
  }

  void operator()(const steps::Add& step) { x_ = op(model_, step.parameter, "Add", {x_, parameter(step.parameter)}); }

  /// Rows of zeros in front, and the tokens added to them: the batch needs no Expand.
  void operator()(const steps::Prepend& step) {
    const Tensor& tokens = deployment_.parameters.at(step.tokens);
    const auto& shape = section_shape();
    x_ = padded(tokens.size(1));
    const Tensor rest = at::zeros({1, shape.at(0) - tokens.size(1), tokens.size(2)});
    x_ = op(model_, step.tokens, "Add", {x_, constant(model_, step.tokens, at::cat({tokens, rest}, 1))});
  }

  /// The token stays an axis of length 1 up to the end: products of rank 2 would become float in onnxruntime.
  void operator()(const steps::SelectToken& step) {
    x_ = op(model_, section_, "Slice",
            {x_, constant(model_, {step.token}), constant(model_, {step.token + 1}), constant(model_, {1})});
    one_token_ = true;
  }

  void operator()(const steps::Attend& step) {
    const Attention& attention = plan_.attention[step.attention];
    const Product &joint = plan_.products[attention.qkv], &proj = plan_.products[attention.proj];
    const std::string name = layer_name(plan_.name(joint.weight));
    const int64_t width = outputs_of(joint) / 3, size = width / attention.heads;
    const double scale = 1 / std::sqrt(static_cast<double>(size));
    const bool folds = scale_can_be_folded(attention, scale);
    const std::string qkv = linear(joint, x_, folds ? query_factors(joint, scale) : Tensor());
    const auto parts = onnx::add_node_with_outputs(
        model_, name, {.op = "Split", .inputs = {qkv}, .attributes = {{"axis", int64_t{-1}}, {"num_outputs", int64_t{3}}}}, 3);
    const std::string shape = constant(model_, {0, 0, attention.heads, size});
    const auto heads = [&](const std::string& part, NodeId node) {
      const std::string split = op(model_, name, "Reshape", {part, shape});
      const std::string moved = op(model_, name, "Transpose", {split}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
      return rounded(node, moved, size);
    };
    std::string query = heads(parts[0], attention.query);
    if (!folds) query = op(model_, name, "Mul", {query, constant(model_, name + ".scale", at::scalar_tensor(scale))});
    const std::string key =
        op(model_, name, "Transpose", {heads(parts[1], attention.key)}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
    const std::string value = heads(parts[2], attention.value);
    const std::string scores = op(model_, name, "MatMul", {query, key});
    const std::string softmax = op(model_, name, "Softmax", {scores}, {{"axis", int64_t{-1}}});
    const std::string mixed =
        op(model_, name, "MatMul", {rounded(attention.probabilities, softmax, section_shape().at(0)), value});
    const std::string back = op(model_, name, "Transpose", {mixed}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    x_ = linear(proj, op(model_, name, "Reshape", {back, constant(model_, {0, 0, width})}));
  }

 private:
  const std::vector<int64_t>& section_shape() const {
    return std::ranges::find(plan_.sections, section_, &Section::name)->shape;
  }

  int64_t outputs_of(const Product& product) const { return plan_.parameters.at(plan_.name(product.weight)).at(0); }

  int64_t inputs_of(const Product& product) const { return plan_.parameters.at(plan_.name(product.weight)).at(1); }

  const DeployedWeight* integers_of(const Product& product) const {
    const auto found = deployment_.weights.find(product.weight);
    return found == deployment_.weights.end() ? nullptr : &found->second;
  }

  std::string parameter(const std::string& name) { return constant(model_, name, deployment_.parameters.at(name)); }

  std::string rounded(NodeId node, const std::string& x, int64_t channels) {
    const auto found = deployment_.activations.find(node);
    if (found == deployment_.activations.end()) return x;
    return onnx::rounded(model_, {.node = plan_.name(node), .x = x, .channels = channels}, found->second);
  }

  std::string padded(int64_t tokens) { return op(model_, section_, "Pad", {x_, constant(model_, {0, tokens, 0, 0, 0, 0})}); }

  /// A Prepend and the Add behind it are one Pad and one Add.
  bool prepend_and_add(const Step& first, const Step& second) {
    const auto* prepend = std::get_if<steps::Prepend>(&first);
    const auto* add = std::get_if<steps::Add>(&second);
    if (prepend == nullptr || add == nullptr) return false;
    const Tensor& tokens = deployment_.parameters.at(prepend->tokens);
    Tensor sum = deployment_.parameters.at(add->parameter).clone();
    sum.narrow(1, 0, tokens.size(1)).add_(tokens);
    x_ = op(model_, add->parameter, "Add", {padded(tokens.size(1)), constant(model_, add->parameter, sum)});
    return true;
  }

  /// Whether the scale of the scores can be a part of the queries' weights without any rounding.
  bool scale_can_be_folded(const Attention& attention, double scale) const {
    if (std::exp2(std::round(std::log2(scale))) != scale || deployment_.activations.contains(attention.query)) return false;
    const DeployedWeight* weight = integers_of(plan_.products[attention.qkv]);
    if (weight == nullptr) return true;
    if (weight->spec.scaling.granularity == Granularity::tensor) return false;
    if (weight->spec.scaling.stored == ScaleFormat::float32) return true;
    const Tensor scaled = weight->scale * scale;
    return weight->spec.scaling.stored == ScaleFormat::float16 && at::equal(scaled.to(at::kHalf).to(at::kFloat), scaled);
  }

  Tensor query_factors(const Product& joint, double scale) const {
    Tensor factors = at::ones({outputs_of(joint)});
    factors.narrow(0, 0, factors.size(0) / 3).mul_(scale);
    return factors;
  }

  /// The weight as inputs x outputs; `factors`, if defined, multiply its outputs.
  std::string weight_of(const Product& product, const Tensor& factors) {
    const std::string& name = plan_.name(product.weight);
    const DeployedWeight* integers = integers_of(product);
    const auto along_outputs = [&](int64_t dimensions) { return dimensions > 1 ? factors.reshape({-1, 1}) : factors; };
    if (integers == nullptr) {
      const Tensor& weight = deployment_.parameters.at(name);
      return constant(model_, name, (factors.defined() ? weight * along_outputs(2) : weight).t());
    }
    DeployedWeight scaled = *integers;
    if (factors.defined()) scaled.scale = scaled.scale * along_outputs(scaled.scale.dim());
    if (!settings_.computed_scales && scaled.spec.scaling.stored == ScaleFormat::float16)
      scaled.spec.scaling.stored = ScaleFormat::float32;
    return onnx::dequantized_weight(model_, name, scaled);
  }

  std::string linear(const Product& product, const std::string& input, const Tensor& factors = {}) {
    const std::string name = layer_name(plan_.name(product.weight));
    std::string x = input;
    const auto shift = deployment_.shifts.find(product.input);
    if (shift != deployment_.shifts.end()) {
      const std::string amount = constant(model_, plan_.name(product.input) + ".shift", at::scalar_tensor(shift->second));
      x = op(model_, plan_.name(product.input), "Sub", {x, amount});
    }
    std::string y = op(model_, name, "MatMul", {rounded(product.input, x, inputs_of(product)), weight_of(product, factors)});
    const DeployedWeight* integers = integers_of(product);
    if (integers != nullptr && integers->float_channels.defined()) {
      const std::string channels = constant(model_, channel_list(integers->float_channels));
      const std::string picked = op(model_, name, "Gather", {x, channels}, {{"axis", int64_t{-1}}});
      const Tensor columns = factors.defined() ? integers->float_columns * factors.reshape({-1, 1}) : integers->float_columns;
      const std::string side = op(model_, name, "MatMul", {picked, constant(model_, name + ".float_columns", columns.t())});
      y = op(model_, name, "Add", {y, side});
    }
    const Tensor& bias = deployment_.parameters.at(product.bias);
    return op(model_, name, "Add", {y, constant(model_, product.bias, factors.defined() ? bias * factors : bias)});
  }

  static std::vector<int64_t> channel_list(const Tensor& channels) {
    return {channels.const_data_ptr<int64_t>(), channels.const_data_ptr<int64_t>() + channels.numel()};
  }

  bool is_tiled(const Convolution& convolution) const {
    return convolution.stride == convolution.kernel && convolution.padding == 0 && plan_.image_size % convolution.kernel == 0;
  }

  /// Maps to tokens: B x places x outputs.
  std::string convolution(const Product& product) {
    const DeployedWeight* integers = integers_of(product);
    const Convolution& shape = product.convolution.value();
    const bool reads_bytes = plan_.role(product.input) == Role::image && settings_.input == ImageInput::bytes;
    const bool colours = integers != nullptr && integers->spec.format->is_uniform && !integers->zero_point.defined() &&
                         integers->spec.scaling == per_block(1, shape.kernel * shape.kernel);
    if (reads_bytes && colours && is_tiled(shape)) return colour_products(product, *integers);
    return float_convolution(product, integers, reads_bytes, colours);
  }

  /// y = sum over colours c of W_c (b / 255 - mean_c) / std_c for bytes b: one integer product a colour, all else in its scale
  /// and in the bias.
  std::string colour_products(const Product& product, const DeployedWeight& weight) {
    const std::string name = layer_name(plan_.name(product.weight));
    const int64_t channels = plan_.channels, kernel = product.convolution.value().kernel, grid = plan_.image_size / kernel;
    const auto colours = onnx::add_node_with_outputs(
        model_, name, {.op = "Split", .inputs = {x_}, .attributes = {{"axis", int64_t{1}}, {"num_outputs", channels}}},
        static_cast<int>(channels));
    const Tensor zero = at::zeros({}, at::kByte);
    const std::string one = constant(model_, name + ".step", at::scalar_tensor(1.0));
    const std::string none = onnx::add_initializer(model_, name + ".zero_point", onnx::from_tensor(zero));
    std::string sum;
    for (int64_t c = 0; c < channels; ++c) {
      const std::string tiles =
          op(model_, name, "Reshape", {colours[static_cast<size_t>(c)], constant(model_, {-1, grid, kernel, grid, kernel})});
      const std::string moved = op(model_, name, "Transpose", {tiles}, {{"perm", std::vector<int64_t>{0, 1, 3, 2, 4}}});
      const std::string bytes = op(model_, name, "Reshape", {moved, constant(model_, {-1, grid * grid, kernel * kernel})});
      const DeployedWeight colour{.spec = {.bits = weight.spec.bits, .symmetric = true, .scaling = per_channel(0)},
                                  .codes = weight.codes.select(1, c),
                                  .scale = weight.scale.select(1, c) / (byte_range * preprocessing_.std.at(index(c))),
                                  .zero_point = {},
                                  .factor = {},
                                  .float_channels = {},
                                  .float_columns = {}};
      const std::string exact = op(model_, name, "DequantizeLinear", {bytes, one, none});
      const std::string values = onnx::dequantized_weight(model_, plan_.name(product.weight) + "." + std::to_string(c), colour);
      const std::string part = op(model_, name, "MatMul", {exact, values});
      sum = sum.empty() ? part : op(model_, name, "Add", {sum, part});
    }
    return op(model_, name, "Add", {sum, constant(model_, product.bias, bias_for_bytes(product, dequantized(weight)))});
  }

  static size_t index(int64_t i) { return static_cast<size_t>(i); }

  Tensor bias_for_bytes(const Product& product, const Tensor& weight) const {
    const at::TensorOptions exact = at::TensorOptions(at::kDouble);
    const Tensor offset = preprocessing_.mean_tensor(exact) / preprocessing_.std_tensor(exact);
    const Tensor moved = (weight.to(at::kDouble) * offset).flatten(1).sum(1);
    return (deployment_.parameters.at(product.bias).to(at::kDouble) - moved).to(at::kFloat);
  }

  /// Integers of such a weight are turned into float once, when the runtime loads the file.
  std::string float_convolution(const Product& product, const DeployedWeight* integers, bool reads_bytes, bool colours) {
    const std::string &weight_name = plan_.name(product.weight), name = layer_name(weight_name);
    Tensor weight = integers != nullptr ? dequantized(*integers) : deployment_.parameters.at(weight_name);
    Tensor bias = deployment_.parameters.at(product.bias);
    const Convolution& shape = product.convolution.value();
    std::string x = x_, values;
    if (reads_bytes) {
      if (shape.padding > 0) throw BadInput("a padded convolution of bytes is not built; use the normalised input");
      bias = bias_for_bytes(product, weight);
      weight = weight / (preprocessing_.std_tensor() * byte_range);
      x = op(model_, name, "Cast", {x}, {{"to", static_cast<int64_t>(onnx::Type::float32)}});
    } else if (colours && settings_.computed_scales) {
      const std::string codes = onnx::add_initializer(model_, weight_name, onnx::from_tensor(integers->codes.contiguous()));
      const std::string exact = op(model_, weight_name, "Cast", {codes}, {{"to", static_cast<int64_t>(onnx::Type::float32)}});
      const std::string scale =
          constant(model_, weight_name + ".scale", integers->scale.reshape({weight.size(0), weight.size(1), 1, 1}));
      values = op(model_, weight_name, "Mul", {exact, scale});
    }
    if (values.empty()) values = constant(model_, weight_name, weight);
    const int64_t k = shape.kernel, s = shape.stride, p = shape.padding;
    const std::string maps = op(model_, name, "Conv", {x, values, constant(model_, product.bias, bias)},
                                {{"kernel_shape", std::vector<int64_t>{k, k}},
                                 {"strides", std::vector<int64_t>{s, s}},
                                 {"pads", std::vector<int64_t>{p, p, p, p}}});
    const std::string rows = op(model_, name, "Reshape", {maps, constant(model_, {0, weight.size(0), -1})});
    return op(model_, name, "Transpose", {rows}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
  }

  static constexpr double byte_range = 255;

  const Deployment& deployment_;
  const Plan& plan_;
  const Preprocessing& preprocessing_;
  GraphSettings settings_;
  onnx::Model& model_;
  std::string x_;                  ///< the running value
  std::vector<std::string> kept_;  ///< what open branches kept
  std::string section_;            ///< the name of the section being written
  bool one_token_ = false;         ///< one token was selected, whose axis is still there
};

std::vector<QuantizerSpec> all_specs(const Deployment& deployment) {
  std::vector<QuantizerSpec> specs;
  for (const auto& [node, weight] : deployment.weights) specs.push_back(weight.spec);
  for (const auto& [node, quantizer] : deployment.activations) specs.push_back(quantizer.spec);
  return specs;
}

}  // namespace

int64_t opset_of(const Deployment& deployment) {
  constexpr int64_t usual = 21, with_e8m0 = 24;
  int64_t opset = usual;
  for (const QuantizerSpec& spec : all_specs(deployment)) {
    const ElementType* type = element_type(*spec.format);
    if (type != nullptr) opset = std::max(opset, type->opset);
    if (spec.scaling.stored == ScaleFormat::e8m0) opset = std::max(opset, with_e8m0);
  }
  return opset;
}

onnx::Model onnx_graph(const Deployment& deployment, const Preprocessing& preprocessing, const GraphSettings& settings) {
  const at::NoGradGuard no_gradients;
  const Plan& plan = *deployment.plan;
  onnx::Model model;
  model.opset = opset_of(deployment);
  model.producer_name = "eidolon";
  model.graph_name = plan.family;
  model.ir_version = onnx::ir_version_for(model.opset);
  onnx::add_input(model, {.name = "image",
                          .type = settings.input == ImageInput::bytes ? onnx::Type::uint8 : onnx::Type::float32,
                          .dims = {"batch", plan.channels, plan.image_size, plan.image_size}});
  const std::string output = GraphWriter(deployment, preprocessing, settings, model).write();
  onnx::add_output(model, output, {.name = "logits", .type = onnx::Type::float32, .dims = {"batch", plan.output.size}});
  return model;
}

}  // namespace eidolon
