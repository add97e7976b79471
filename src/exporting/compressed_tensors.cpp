#include "exporting/compressed_tensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "exporting/library_tensors.h"
#include "exporting/packed.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

constexpr int64_t int8_bits = 8, word_bits = 32;

/// A floating-point format that the package has.
struct FloatFormat {
  const Format* element;
  ScaleFormat scales;
  int64_t block;  ///< 0: a scale per output of a weight, and one for an input
  const char* name;
  const char* strategy;     ///< of blocks
  const char* scale_dtype;  ///< of blocks
};

const std::array float_formats{
    FloatFormat{&formats::e4m3, ScaleFormat::float32, 0, "float-quantized", "", ""},
    FloatFormat{&formats::e4m3, ScaleFormat::e8m0, 32, "mxfp8-quantized", "group", "torch.uint8"},
    FloatFormat{&formats::e2m1, ScaleFormat::e8m0, 32, "mxfp4-pack-quantized", "group", "torch.uint8"},
    FloatFormat{&formats::e2m1, ScaleFormat::e4m3, 16, "nvfp4-pack-quantized", "tensor_group", "torch.float8_e4m3fn"},
};

const FloatFormat* float_format(const QuantizerSpec& spec) {
  for (const FloatFormat& row : float_formats) {
    if (row.element == spec.format && row.scales == spec.scaling.stored && row.block == spec.scaling.block) return &row;
  }
  return nullptr;
}

bool is_float(const QuantizerSpec& spec) {
  return spec.format->fixed_bits > 0;
}

bool in_blocks(const QuantizerSpec& spec) {
  return spec.scaling.granularity == Granularity::block;
}

[[noreturn]] void refuse(const std::string& node, const std::string& why, const std::string& remedy) {
  throw BadInput("compressed-tensors cannot hold '" + node + "', " + why + "; " + remedy);
}

constexpr const char* any_recipe = "quantization.recipe has recipes that it can hold, such as \"int8\"";

/// A linear layer that is rounded.
struct Layer {
  std::string module;  ///< timm's name
  const DeployedWeight* weight = nullptr;
  const Quantizer* input = nullptr;  ///< null: float
  std::string format;                ///< of the folder
  ordered_json scheme;               ///< of quantization_config, without its targets
};

ordered_json block_arguments(const FloatFormat& format) {
  return {{"strategy", format.strategy}, {"group_size", format.block}, {"scale_dtype", format.scale_dtype}};
}

ordered_json weight_arguments(const DeployedWeight& weight) {
  const QuantizerSpec& spec = weight.spec;
  ordered_json arguments{{"num_bits", spec.bits}, {"type", is_float(spec) ? "float" : "int"}, {"symmetric", true}};
  if (is_float(spec) && in_blocks(spec)) {
    arguments.update(block_arguments(*float_format(spec)));
  } else if (in_blocks(spec)) {
    arguments.update({{"strategy", "group"}, {"group_size", spec.scaling.block}});
  } else {
    arguments["strategy"] = "channel";
  }
  arguments["dynamic"] = false;
  return arguments;
}

ordered_json input_arguments(const QuantizerSpec& spec) {
  const bool is_symmetric = is_float(spec) || spec.symmetric;
  ordered_json arguments{{"num_bits", spec.bits}, {"type", is_float(spec) ? "float" : "int"}, {"symmetric", is_symmetric}};
  if (!in_blocks(spec)) {
    arguments.update({{"strategy", "tensor"}, {"dynamic", false}});
    return arguments;
  }
  arguments.update(block_arguments(*float_format(spec)));
  arguments["dynamic"] = true;
  if (spec.scaling.stored == ScaleFormat::e4m3) arguments["dynamic"] = "local";  // beside input_global_scale
  return arguments;
}

void check_weight(const std::string& node, const DeployedWeight& weight) {
  const QuantizerSpec& spec = weight.spec;
  if (weight.float_channels.defined())
    refuse(node, "which has float channels beside its integers", "quantization.float_channels = 0 makes a student without");
  if (weight.left.defined())
    refuse(node, "which has low-rank factors beside its integers",
           "quantization.correction = \"bias\" makes a student without");
  if (weight.zero_point.defined()) refuse(node, "which has zero points", "quantization.weight_symmetric = true has none");
  const bool known = is_float(spec) ? float_format(spec) != nullptr : spec.format->is_uniform;
  const bool has_layout = in_blocks(spec) || spec.scaling.granularity == Granularity::channel;
  if (!known || !has_layout) refuse(node, "which is " + spec.format->name, any_recipe);
  if (in_blocks(spec) && weight.codes.size(1) % spec.scaling.block != 0) {
    refuse(node, "whose inputs do not divide into blocks of " + std::to_string(spec.scaling.block),
           is_float(spec) ? any_recipe : "quantization.int4_scales = \"channel\" has none");
  }
}

void check_input(const std::string& node, const QuantizerSpec& spec) {
  const bool has_layout = in_blocks(spec) || spec.scaling.granularity == Granularity::tensor;
  const bool known = is_float(spec) ? float_format(spec) != nullptr : spec.format->is_uniform && !in_blocks(spec);
  if (!known || !has_layout) refuse(node, "which is " + spec.format->name, any_recipe);
}

std::string format_of(const QuantizerSpec& weight, const Quantizer* input) {
  if (is_float(weight)) return float_format(weight)->name;
  return weight.bits == int8_bits && input != nullptr ? "int-quantized" : "pack-quantized";
}

Layer layer_of(const Deployment& deployment, const Product& product, const DeployedWeight& weight) {
  const Plan& plan = *deployment.plan;
  check_weight(plan.name(product.weight), weight);
  Layer layer{.module = module_of(plan.name(product.weight)), .weight = &weight, .input = nullptr, .format = {}, .scheme = {}};
  const auto input = deployment.activations.find(product.input);
  if (input != deployment.activations.end()) {
    check_input(plan.name(product.input), input->second.spec);
    layer.input = &input->second;
  }
  layer.format = format_of(weight.spec, layer.input);
  layer.scheme = {{"weights", weight_arguments(weight)}, {"input_activations", nullptr}, {"format", layer.format}};
  if (layer.input != nullptr) layer.scheme["input_activations"] = input_arguments(layer.input->spec);
  return layer;
}

/// Inputs are rounded in the layers alone.
void refuse_other_activations(const Deployment& deployment, const std::vector<Layer>& layers) {
  for (const auto& [node, quantizer] : deployment.activations) {
    const auto reads = [&, &input = quantizer](const Layer& layer) { return layer.input == &input; };
    if (std::ranges::any_of(layers, reads)) continue;
    refuse(deployment.plan->name(node), "which is rounded and is no input of a linear layer with integers", any_recipe);
  }
}

std::vector<Layer> layers_of(const Deployment& deployment) {
  std::vector<Layer> layers;
  for (const Product& product : deployment.plan->products) {
    const auto weight = deployment.weights.find(product.weight);
    if (weight != deployment.weights.end() && !product.convolution)
      layers.push_back(layer_of(deployment, product, weight->second));
  }
  refuse_other_activations(deployment, layers);
  if (layers.empty()) throw BadInput(std::string("no linear layer of this student has integers; ") + any_recipe);
  return layers;
}

/// A pattern for a module, with whatever a wrapper puts in front of its name.
std::string pattern_of(const std::string& module) {
  std::string pattern = "re:(.*[.])?";
  for (const char c : module) pattern += c == '.' ? std::string("[.]") : std::string(1, c);
  return pattern + "$";
}

std::vector<std::string> all_patterns_of(const PublishedFolder& folder, const std::vector<std::string>& modules) {
  std::vector<std::string> patterns;
  for (const std::string& module : modules) {
    for (const std::string& weight : folder.names(module + ".weight")) patterns.push_back(pattern_of(module_of(weight)));
  }
  return patterns;
}

/// Schemes with the modules that have them, the most common last: the package asks in this order which target matches.
using Schemes = std::vector<std::pair<ordered_json, std::vector<std::string>>>;

Schemes schemes_of(const std::vector<Layer>& layers) {
  Schemes schemes;
  for (const Layer& layer : layers) {
    auto found = std::ranges::find(schemes, layer.scheme, &Schemes::value_type::first);
    if (found == schemes.end()) found = schemes.emplace(schemes.end(), layer.scheme, std::vector<std::string>{});
    found->second.push_back(layer.module);
  }
  std::ranges::stable_sort(schemes, {}, [](const auto& scheme) { return scheme.second.size(); });
  return schemes;
}

/// Modules without integers.
std::vector<std::string> float_modules(const Deployment& deployment) {
  std::vector<std::string> modules;
  for (const Product& product : deployment.plan->products) {
    if (product.convolution || deployment.weights.contains(product.weight)) continue;
    modules.push_back(module_of(deployment.plan->name(product.weight)));
  }
  return modules;
}

/// transformers changes the names of modules inside its blocks when it loads a model, so no pattern finds one of them there.
void refuse_renamed(const Deployment& deployment, const PublishedFolder& folder, const std::vector<std::string>& modules) {
  if (folder.library != "transformers") return;
  const Plan& plan = *deployment.plan;
  for (const std::string& module : modules) {
    const std::string node = module + ".weight";
    if (plan.is_head(plan[plan.node(node)].section)) continue;
    refuse(node, "which is rounded otherwise than the other layers and has another name where transformers loads it",
           "leave it out of quantization.bits_for");
  }
}

/// float32 scales as outputs x 1 or outputs x blocks.
Tensor scale_rows(const DeployedWeight& weight) {
  const bool is_stored = is_float(weight.spec) && in_blocks(weight.spec);
  return (is_stored ? stored_scales(weight) : weight.scale).view({weight.codes.size(0), -1}).contiguous();
}

void add_weight(TensorMap& tensors, const std::string& module, const DeployedWeight& weight, const std::string& format) {
  const std::string name = module + ".weight";
  if (format == "pack-quantized") {
    tensors[name + "_packed"] = packed_words(weight.codes, weight.spec.bits);
    tensors[name + "_shape"] = at::tensor({weight.codes.size(0), weight.codes.size(1)}, at::kLong);
  } else {
    tensors[format.ends_with("pack-quantized") ? name + "_packed" : name] = stored_codes(weight);
  }
  tensors[name + "_scale"] = scale_rows(weight);
  if (weight.factor.defined()) tensors[name + "_global_scale"] = weight.factor.reciprocal();
}

void add_input(TensorMap& tensors, const std::string& module, const Quantizer& input) {
  if (input.factor.defined()) tensors[module + ".input_global_scale"] = input.factor.reciprocal();
  if (in_blocks(input.spec)) return;
  tensors[module + ".input_scale"] = input.scale.clone();
  if (is_float(input.spec) || input.spec.symmetric) return;
  const double middle = static_cast<double>(int64_t{1} << (input.spec.bits - 1));  // codes are signed there
  tensors[module + ".input_zero_point"] = (input.zero_point - middle).to(at::kChar);
}

void add_layer(TensorMap& tensors, const PublishedFolder& folder, const Layer& layer) {
  const std::vector<std::string> names = folder.names(layer.module + ".weight");
  const int64_t rows = layer.weight->codes.size(0) / static_cast<int64_t>(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string module = module_of(names[i]);
    add_weight(tensors, module, rows_of(*layer.weight, static_cast<int64_t>(i) * rows, rows), layer.format);
    if (layer.input != nullptr) add_input(tensors, module, *layer.input);
  }
}

}  // namespace

Tensor packed_words(const Tensor& codes, int64_t bits) {
  const int64_t inputs = codes.size(1), words = (inputs * bits + word_bits - 1) / word_bits;
  const Tensor values = codes.to(at::kLong) + (int64_t{1} << (bits - 1));
  const Tensor string = values.unsqueeze(-1).bitwise_right_shift(at::arange(bits)).bitwise_and(1).flatten(1);
  const Tensor whole = at::constant_pad_nd(string, {0, words * word_bits - inputs * bits});
  const Tensor places = at::bitwise_left_shift(at::ones({word_bits}, at::kLong), at::arange(word_bits));
  return (whole.view({-1, words, word_bits}) * places).sum(-1).to(at::kInt);
}

ordered_json compression_config(const Deployment& deployment, const PublishedFolder& folder) {
  ordered_json groups = ordered_json::object();
  std::string format;
  const Schemes schemes = schemes_of(layers_of(deployment));
  for (const auto& [scheme, modules] : schemes) {
    const bool is_rest = modules == schemes.back().second;
    if (!is_rest) refuse_renamed(deployment, folder, modules);
    ordered_json group{{"targets", is_rest ? std::vector<std::string>{"Linear"} : all_patterns_of(folder, modules)}};
    group.update(scheme);
    const auto own = scheme.at("format").get<std::string>();
    format = format.empty() || format == own ? own : "mixed-precision";
    groups["group_" + std::to_string(groups.size())] = group;
  }
  refuse_renamed(deployment, folder, float_modules(deployment));
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"quantization_status", "compressed"},
          {"config_groups", groups},
          {"ignore", all_patterns_of(folder, float_modules(deployment))}};
}

TensorMap compressed_tensors(const Deployment& deployment, const PublishedFolder& folder) {
  TensorMap tensors;
  for (const auto& [name, values] : deployment.parameters) add_parameter(tensors, folder, name, values);
  for (const Layer& layer : layers_of(deployment)) add_layer(tensors, folder, layer);
  for (const Product& product : deployment.plan->products) {
    const auto weight = deployment.weights.find(product.weight);
    if (weight != deployment.weights.end() && product.convolution)
      add_parameter(tensors, folder, deployment.plan->name(product.weight), dequantized(weight->second));
  }
  return tensors;
}

bool decompresses_to_bfloat16(const Deployment& deployment) {
  return std::ranges::any_of(deployment.weights,
                             [](const auto& entry) { return is_float(entry.second.spec) && in_blocks(entry.second.spec); });
}

}  // namespace eidolon
