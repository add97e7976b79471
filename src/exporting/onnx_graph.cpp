#include "exporting/onnx_graph.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "exporting/element_type.h"
#include "exporting/onnx_attention.h"
#include "exporting/onnx_products.h"
#include "exporting/onnx_values.h"

namespace eidolon {
namespace {

using onnx::constant;
using onnx::op;

/// Adds the steps of a plan to a graph, one after the other. A vector B x D is B x 1 x D up to the end: products of rank 2
/// would become float in onnxruntime.
class StepWriter {
 public:
  StepWriter(onnx::Graph& graph, std::string x) : graph_(graph), x_(std::move(x)) {}

  std::string write(const std::vector<Step>& steps) {
    for (size_t i = 0; i < steps.size(); ++i) {
      const bool merged = i + 1 < steps.size() && prepend_and_add(steps[i], steps[i + 1]);
      if (merged) {
        ++i;
      } else {
        std::visit(*this, steps[i]);
      }
    }
    return x_;
  }

  void operator()(const steps::Branch&) { kept_.push_back(x_); }
  void operator()(const steps::Join&) {
    x_ = next("Add", {kept_.back(), x_});
    kept_.pop_back();
  }
  void operator()(const steps::Swap&) { std::swap(x_, kept_.back()); }
  void operator()(const steps::Norm& norm) { x_ = onnx::norm(graph_, norm, x_); }
  void operator()(const steps::Activate& step) { x_ = activated(step.activation, x_); }
  void operator()(const steps::Gate& step) {
    const auto halves = onnx::add_node_with_outputs(
        graph_.model, graph_.section,
        {.op = "Split", .inputs = {x_}, .attributes = {{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}}}, 2);
    x_ = next("Mul", {activated(step.activation, halves[0]), halves[1]});
  }
  void operator()(const steps::Multiply& step) {
    const Product& product = graph_.plan().products[step.product];
    x_ = product.convolution ? onnx::convolution_to_tokens(graph_, product, x_) : onnx::linear(graph_, product, x_);
  }
  void operator()(const steps::Convolve& step) {
    x_ = onnx::convolution_to_maps(graph_, graph_.plan().products[step.product], x_);
  }
  void operator()(const steps::Attend& step) { x_ = onnx::attend(graph_, graph_.plan().attention[step.attention], x_); }
  void operator()(const steps::PoolByAttention& step) { x_ = onnx::pool_by_attention(graph_, step, x_); }
  void operator()(const steps::Add& step) { x_ = op(graph_.model, step.parameter, "Add", {x_, parameter(step.parameter)}); }

  /// Rows of zeros in front, and the tokens added to them: the batch needs no Expand.
  void operator()(const steps::Prepend& step) {
    const Tensor& tokens = graph_.parameter(step.tokens);
    x_ = padded(tokens.size(1));
    const Tensor in_front = at::cat({tokens, at::zeros({1, tokens_ - tokens.size(1), tokens.size(2)})}, 1);
    x_ = op(graph_.model, step.tokens, "Add", {x_, constant(graph_.model, step.tokens, in_front)});
  }

  void operator()(const steps::Pool& step) {
    std::vector<std::string> pieces;
    for (const int64_t token : step.tokens) pieces.push_back(slice(token, token + 1));
    if (step.mean_from) {
      const std::string rest = *step.mean_from == 0 ? x_ : slice(*step.mean_from, std::numeric_limits<int64_t>::max());
      pieces.push_back(next("ReduceMean", {rest, constant(graph_.model, {1})}, {{"keepdims", int64_t{1}}}));
    }
    x_ = pieces.size() == 1 ? pieces[0] : next("Concat", pieces, {{"axis", int64_t{-1}}});
  }
  void operator()(const steps::Compare& step) {
    const std::string length = next("ReduceL2", {x_, constant(graph_.model, {-1})}, {{"keepdims", int64_t{1}}});
    x_ = next("MatMul", {next("Div", {x_, length}), constant(graph_.model, step.rows, graph_.parameter(step.rows).t())});
  }
  void operator()(const steps::Merge& step) {
    const int64_t grid = step.grid, half = (grid + 1) / 2;
    const int64_t channels = section_width() / 2;  // of a token in front of the merging; behind it a quarter of 4 D
    std::string map = x_;
    if (grid % 2 != 0) {
      map = next("Reshape", {map, constant(graph_.model, {-1, grid, grid, channels})});
      map = next("Pad", {map, constant(graph_.model, {0, 0, 0, 0, 0, 1, 1, 0})});
    }
    const std::string apart = next("Reshape", {map, constant(graph_.model, {-1, half, 2, half, 2, channels})});
    const std::string moved = next("Transpose", {apart}, {{"perm", std::vector<int64_t>{0, 1, 3, 4, 2, 5}}});
    x_ = next("Reshape", {moved, constant(graph_.model, {-1, half * half, 4 * channels})});
  }
  /// The places stay one axis, which give() divides.
  void operator()(const steps::ToMaps&) { x_ = next("Transpose", {x_}, {{"perm", std::vector<int64_t>{0, 2, 1}}}); }
  void operator()(const steps::MaxPool& step) {
    const auto [kernel, stride, padding] = step;
    x_ = next("MaxPool", {x_},
              {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
               {"strides", std::vector<int64_t>{stride, stride}},
               {"pads", std::vector<int64_t>(4, padding)}});
  }
  void operator()(const steps::Subsample& step) {
    const int64_t front = step.channels / 2, end = std::numeric_limits<int64_t>::max();
    x_ = next("Slice", {x_, constant(graph_.model, {0, 0}), constant(graph_.model, {end, end}), constant(graph_.model, {2, 3}),
                        constant(graph_.model, {step.stride, step.stride})});
    x_ = next("Pad", {x_, constant(graph_.model, {0, front, 0, 0, 0, step.channels - front, 0, 0})});
  }
  void operator()(const steps::MeanPlaces&) {
    const std::string mean = next("GlobalAveragePool", {x_});
    x_ = next("Transpose", {next("Reshape", {mean, constant(graph_.model, {0, -1, 1})})},
              {{"perm", std::vector<int64_t>{0, 2, 1}}});
  }

 private:
  std::string next(const std::string& name, std::vector<std::string> inputs, std::vector<onnx::Attribute> attributes = {}) {
    return op(graph_.model, graph_.section, name, std::move(inputs), std::move(attributes));
  }

  std::string parameter(const std::string& name) { return constant(graph_.model, name, graph_.parameter(name)); }

  std::string scalar(const char* name, double value) {
    return constant(graph_.model, graph_.section + name, at::scalar_tensor(value, at::kFloat));
  }

  std::string activated(Activation activation, const std::string& x) {
    constexpr double quick_slope = 1.702, six = 6;
    switch (activation) {
      case Activation::gelu:
        return next("Gelu", {x});
      case Activation::gelu_tanh:
        return next("Gelu", {x}, {{"approximate", std::string("tanh")}});
      case Activation::quick_gelu:
        return next("Mul", {x, next("Sigmoid", {next("Mul", {x, scalar(".slope", quick_slope)})})});
      case Activation::silu:
        return next("Mul", {x, next("Sigmoid", {x})});
      case Activation::relu:
        return next("Relu", {x});
      case Activation::relu6:
        return next("Clip", {x, scalar(".lowest", 0), scalar(".highest", six)});
    }
    throw Fault("an activation is of an unknown kind");
  }

  std::string slice(int64_t from, int64_t to) {
    return next("Slice", {x_, constant(graph_.model, {from}), constant(graph_.model, {to}), constant(graph_.model, {1})});
  }

  int64_t section_width() const {
    return std::ranges::find(graph_.plan().sections, graph_.section, &Section::name)->shape.back();
  }

  std::string padded(int64_t tokens) {
    if (tokens_ == 0) tokens_ = patches();
    tokens_ += tokens;
    return next("Pad", {x_, constant(graph_.model, {0, tokens, 0, 0, 0, 0})});
  }

  /// Tokens that a section has before any were prepended.
  int64_t patches() const {
    const Section& section = *std::ranges::find(graph_.plan().sections, graph_.section, &Section::name);
    int64_t tokens = section.shape.at(0);
    for (const Step& step : section.steps) {
      if (const auto* prepend = std::get_if<steps::Prepend>(&step)) tokens -= graph_.parameter(prepend->tokens).size(1);
    }
    return tokens;
  }

  /// A Prepend and the Add behind it are one Pad and one Add: rows of zeros in front, and the tokens added to them.
  bool prepend_and_add(const Step& first, const Step& second) {
    const auto* prepend = std::get_if<steps::Prepend>(&first);
    const auto* add = std::get_if<steps::Add>(&second);
    if (prepend == nullptr || add == nullptr) return false;
    const Tensor& tokens = graph_.parameter(prepend->tokens);
    Tensor sum = graph_.parameter(add->parameter).clone();
    sum.narrow(1, 0, tokens.size(1)).add_(tokens);
    x_ = op(graph_.model, add->parameter, "Add", {padded(tokens.size(1)), constant(graph_.model, add->parameter, sum)});
    return true;
  }

  onnx::Graph& graph_;
  std::string x_;                  ///< the running value
  std::vector<std::string> kept_;  ///< what open branches kept
  int64_t tokens_ = 0;             ///< of x, while tokens are prepended
};

/// Adds an output of the graph; a vector loses the axis of length 1 that it has, maps get back their two axes of places.
void give(onnx::Graph& graph, const std::string& x, const std::string& name, Layout layout, const std::vector<int64_t>& shape) {
  std::string given = x;
  if (layout == Layout::vector) given = op(graph.model, name, "Squeeze", {x, constant(graph.model, {1})});
  if (layout == Layout::maps) {
    std::vector<int64_t> whole = shape;
    whole.insert(whole.begin(), 0);  // the batch's
    given = op(graph.model, name, "Reshape", {x, constant(graph.model, whole)});
  }
  onnx::Value value{.name = name, .type = onnx::Type::float32, .dims = {"batch"}};
  for (const int64_t size : shape) value.dims.emplace_back(size);
  onnx::add_output(graph.model, given, value);
}

void write_sections(onnx::Graph& graph) {
  const Plan& plan = graph.plan();
  std::string x = "image";
  for (int section = 0; section < plan.section_count(); ++section) {
    const Section& part = plan.sections[static_cast<size_t>(section)];
    graph.section = part.name;
    x = StepWriter(graph, x).write(part.steps);
    for (const OutputPart& output : plan.output.parts) {
      if (output.section != section) continue;
      const std::string given = StepWriter(graph, x).write(output.steps);
      give(graph, given, output.name, output.layout, output.shape);
    }
  }
  const bool gives_classes = plan.output.kind == Output::Kind::classes;
  if (plan.output.parts.empty()) give(graph, x, gives_classes ? "logits" : "embedding", Layout::vector, {plan.output.size});
}

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
  onnx::Graph graph{.deployment = deployment, .preprocessing = preprocessing, .settings = settings, .model = model};
  write_sections(graph);
  return model;
}

}  // namespace eidolon
