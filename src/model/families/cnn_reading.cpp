// A convolutional network from its parameters: which convolutions there are, which BatchNorm stands behind each, and what no
// parameter tells (strides, padding, activations), which follows from whose names they are.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/families/cnn.h"
#include "model/families/required.h"
#include "model/shape_text.h"

namespace eidolon {
namespace {

/// What holds for a whole file.
struct Reader {
  TensorMap& tensors;
  const std::string& file;
  std::string activation;
  double epsilon = 1e-5;           ///< of BatchNorm
  bool same_padding = false;       ///< as TensorFlow pads
  int64_t side = 0, channels = 0;  ///< of the running map

  bool has(const std::string& name) const { return tensors.contains(name); }

  /// The convolution `name` whose BatchNorm is `norm`, which is folded in. Its inputs are the running map.
  ConvolutionFacts convolution(const std::string& name, const std::string& norm, int64_t stride, const std::string& behind);

  void fold(const std::string& name, const std::string& norm);
};

/// W' = s W, b' = beta + s (b - mean) with s = gamma / sqrt(var + epsilon), in double (Ioffe and Szegedy, 2015, arXiv
/// 1502.03167). What remains of the statistics: the folded outputs' mean beta and deviation |s| sqrt(var).
void Reader::fold(const std::string& name, const std::string& norm) {
  const Tensor weight = required(tensors, name + ".weight", 4, file).to(at::kDouble);
  const int64_t outputs = weight.size(0);
  const auto statistic = [&](const char* part) {
    const Tensor& tensor = required(tensors, norm + part, 1, file);
    if (tensor.size(0) == outputs) return tensor.to(at::kDouble);
    throw BadInput(file + ": '" + norm + part + "' has shape " + shape_text(tensor.sizes()) + ", but '" + name +
                   ".weight' has " + std::to_string(outputs) + " outputs");
  };
  const Tensor gamma = statistic(".weight"), beta = statistic(".bias"), mean = statistic(".running_mean");
  const Tensor variance = statistic(".running_var");
  if (variance.min().item<double>() < 0)
    throw BadInput(file + ": '" + norm + ".running_var' is negative; the weights are damaged");
  const Tensor factor = gamma / (variance + epsilon).sqrt();
  const auto bias = tensors.find(name + ".bias");
  const Tensor own = bias == tensors.end() ? at::zeros_like(mean) : bias->second.to(at::kDouble);
  tensors[name + ".weight"] = (weight * factor.view({-1, 1, 1, 1})).to(at::kFloat);
  tensors[name + ".bias"] = (beta + factor * (own - mean)).to(at::kFloat);
  tensors[name + ".statistics"] = at::stack({beta, factor.abs() * variance.sqrt()}).to(at::kFloat);
  for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"}) tensors.erase(norm + part);
}

ConvolutionFacts Reader::convolution(const std::string& name, const std::string& norm, int64_t stride,
                                     const std::string& behind) {
  const Tensor weight = required(tensors, name + ".weight", 4, file);
  const int64_t kernel = weight.size(2), per_group = weight.size(1);
  if (weight.size(3) != kernel || channels % per_group != 0 || weight.size(0) % (channels / per_group) != 0) {
    throw BadInput(file + ": '" + name + ".weight' has shape " + shape_text(weight.sizes()) + ", which is no convolution of " +
                   std::to_string(channels) + " channels");
  }
  fold(name, norm);
  ConvolutionFacts c{.name = name, .inputs = channels, .outputs = weight.size(0), .kernel = kernel, .stride = stride};
  c.groups = channels / per_group;
  c.activation = behind;
  if (same_padding) {
    const int64_t total = std::max<int64_t>(((side + stride - 1) / stride - 1) * stride + kernel - side, 0);
    c.padding = total / 2;
    c.padding_after = total - c.padding;
  } else {
    c.padding = c.padding_after = (kernel - 1) / 2;
  }
  side = (side + c.padding + c.padding_after - kernel) / stride + 1;
  if (side < 1) throw BadInput(file + ": images are too small for '" + name + "'");
  channels = c.outputs;
  return c;
}

/// The maximum behind a ResNet's stem.
void pool(Reader& reader, UnitFacts& unit) {
  unit.pools = true;
  reader.side = (reader.side + 1) / 2;
}

/// layerS.B.conv1 ... of torchvision and timm; `option_a`: skips without parameters.
UnitFacts residual_unit(Reader& reader, const std::string& name, int64_t stride, bool option_a) {
  const int64_t side = reader.side, channels = reader.channels;
  UnitFacts unit{.name = name, .convolutions = {}, .has_skip = true, .activation = reader.activation};
  const bool is_bottleneck = reader.has(name + ".conv3.weight");
  const int last = is_bottleneck ? 3 : 2, strided = is_bottleneck ? 2 : 1;
  for (int i = 1; i <= last; ++i) {
    const std::string number = std::to_string(i);
    unit.convolutions.push_back(reader.convolution(name + ".conv" + number, name + ".bn" + number, i == strided ? stride : 1,
                                                   i == last ? "none" : reader.activation));
  }
  const int64_t side_behind = reader.side, channels_behind = reader.channels;
  if (reader.has(name + ".downsample.0.weight")) {
    reader.side = side, reader.channels = channels;
    unit.skip.push_back(reader.convolution(name + ".downsample.0", name + ".downsample.1", stride, "none"));
  } else if (option_a) {
    unit.subsampled_by = stride;
    unit.added_channels = channels_behind - channels;
  } else if (side_behind != side || channels_behind != channels) {
    throw BadInput(reader.file + ": '" + name + "' changes its map's shape, but has no downsample");
  }
  if (reader.channels != channels_behind && !option_a) {
    throw BadInput(reader.file + ": the skip of '" + name + "' does not fit what it is added to");
  }
  reader.side = side_behind, reader.channels = channels_behind;
  return unit;
}

std::string stage_name(int64_t stage) {
  return "layer" + std::to_string(stage);
}

std::vector<UnitFacts> resnet_units(Reader& reader, bool is_cifar) {
  std::vector<UnitFacts> units;
  const int64_t kernel = required(reader.tensors, "conv1.weight", 4, reader.file).size(2);
  if (kernel != (is_cifar ? 3 : 7)) {
    throw BadInput(reader.file + ": a ResNet whose first convolution is " + std::to_string(kernel) + " x " +
                   std::to_string(kernel) + " is not built");
  }
  UnitFacts stem{.name = "stem", .convolutions = {reader.convolution("conv1", "bn1", is_cifar ? 1 : 2, reader.activation)}};
  if (!is_cifar) pool(reader, stem);
  units.push_back(stem);
  for (int64_t stage = 1; reader.has(stage_name(stage) + ".0.conv1.weight"); ++stage) {
    for (int64_t block = 0;; ++block) {
      const std::string name = stage_name(stage) + "." + std::to_string(block);
      if (!reader.has(name + ".conv1.weight")) break;
      units.push_back(residual_unit(reader, name, stage > 1 && block == 0 ? 2 : 1, is_cifar));
    }
  }
  return units;
}

/// A block of MobileNets: convolution and BatchNorm by turns. Only the last convolution has no activation, unless the block is
/// a depthwise-separable one. The skip stands where neither side nor channels change.
UnitFacts mobile_unit(Reader& reader, const std::string& name, const std::vector<std::pair<std::string, std::string>>& layers,
                      int64_t stride, bool last_is_linear, bool may_skip) {
  const int64_t side = reader.side, channels = reader.channels;
  UnitFacts unit{.name = name};
  for (size_t i = 0; i < layers.size(); ++i) {
    const Tensor& weight = required(reader.tensors, layers[i].first + ".weight", 4, reader.file);
    const bool is_depthwise = weight.size(2) > 1;
    const bool linear = last_is_linear && i + 1 == layers.size();
    unit.convolutions.push_back(
        reader.convolution(layers[i].first, layers[i].second, is_depthwise ? stride : 1, linear ? "none" : reader.activation));
  }
  unit.has_skip = may_skip && stride == 1 && reader.side == side && reader.channels == channels;
  return unit;
}

/// Strides of the stages of MobileNetV2 and of EfficientNets, and of MobileNetV1 in timm's stages.
constexpr std::array<int64_t, 7> strides_of_seven{1, 2, 2, 2, 1, 2, 1};
constexpr std::array<int64_t, 5> strides_of_five{1, 2, 2, 2, 2};

/// conv_stem, blocks.S.B, conv_head of timm.
std::vector<UnitFacts> timm_mobile_units(Reader& reader) {
  std::vector<UnitFacts> units;
  units.push_back({.name = "stem", .convolutions = {reader.convolution("conv_stem", "bn1", 2, reader.activation)}});
  int64_t stages = 0;
  const auto first_of = [](int64_t stage) { return "blocks." + std::to_string(stage) + ".0"; };
  while (reader.has(first_of(stages) + ".conv_dw.weight")) ++stages;
  if (stages != 7 && stages != 5) {
    throw BadInput(reader.file + ": a MobileNet or EfficientNet of " + std::to_string(stages) +
                   " stages, of which nothing says the strides, is not built; 7 and 5 are");
  }
  for (int64_t stage = 0; stage < stages; ++stage) {
    for (int64_t block = 0;; ++block) {
      const std::string name = "blocks." + std::to_string(stage) + "." + std::to_string(block);
      if (!reader.has(name + ".conv_dw.weight")) break;
      const auto s = static_cast<size_t>(stage);
      const int64_t stride = block > 0 ? 1 : stages == 7 ? strides_of_seven[s] : strides_of_five[s];
      const bool expands = reader.has(name + ".conv_pwl.weight");
      std::vector<std::pair<std::string, std::string>> layers{{name + ".conv_dw", name + ".bn1"},
                                                              {name + ".conv_pw", name + ".bn2"}};
      if (expands) {
        layers = {{name + ".conv_pw", name + ".bn1"}, {name + ".conv_dw", name + ".bn2"}, {name + ".conv_pwl", name + ".bn3"}};
      }
      // V1 has activations everywhere and no skips; V2 and later have neither behind the last convolution.
      units.push_back(mobile_unit(reader, name, layers, stride, stages == 7, stages == 7));
    }
  }
  if (reader.has("conv_head.weight")) {
    units.push_back({.name = "conv_head", .convolutions = {reader.convolution("conv_head", "bn2", 1, reader.activation)}});
  }
  return units;
}

/// features.0, features.I.conv.*, features.18 of torchvision's MobileNetV2.
std::vector<UnitFacts> torchvision_mobile_units(Reader& reader) {
  constexpr std::array<int, 7> repeats{1, 2, 3, 4, 3, 3, 1};
  std::vector<UnitFacts> units;
  units.push_back(
      {.name = "features.0", .convolutions = {reader.convolution("features.0.0", "features.0.1", 2, reader.activation)}});
  int index = 1;
  for (size_t stage = 0; stage < repeats.size(); ++stage) {
    for (int block = 0; block < repeats[stage]; ++block, ++index) {
      const std::string name = "features." + std::to_string(index), conv = name + ".conv.";
      std::vector<std::pair<std::string, std::string>> layers{{conv + "0.0", conv + "0.1"}, {conv + "1", conv + "2"}};
      if (reader.has(conv + "1.0.weight")) {
        layers = {{conv + "0.0", conv + "0.1"}, {conv + "1.0", conv + "1.1"}, {conv + "2", conv + "3"}};
      }
      units.push_back(mobile_unit(reader, name, layers, block == 0 ? strides_of_seven[stage] : 1, true, true));
    }
  }
  const std::string last = "features." + std::to_string(index);
  units.push_back({.name = last, .convolutions = {reader.convolution(last + ".0", last + ".1", 1, reader.activation)}});
  return units;
}

/// conv1, conv_dw_N, conv_pw_N of Keras' MobileNetV1.
std::vector<UnitFacts> keras_mobile_units(Reader& reader) {
  constexpr std::array<int, 4> strided{2, 4, 6, 12};
  std::vector<UnitFacts> units;
  units.push_back({.name = "conv1", .convolutions = {reader.convolution("conv1", "conv1_bn", 2, reader.activation)}});
  for (int block = 1;; ++block) {
    const std::string number = std::to_string(block), depthwise = "conv_dw_" + number, pointwise = "conv_pw_" + number;
    if (!reader.has(depthwise + ".weight")) break;
    const bool strides = std::ranges::find(strided, block) != strided.end();
    units.push_back(mobile_unit(reader, "block_" + number, {{depthwise, depthwise + "_bn"}, {pointwise, pointwise + "_bn"}},
                                strides ? 2 : 1, false, false));
  }
  return units;
}

enum class Convention { resnet, cifar_resnet, timm_mobile, torchvision_mobile, keras_mobile };

std::optional<Convention> convention_of(const TensorMap& tensors) {
  if (tensors.contains("conv_dw_1.weight")) return Convention::keras_mobile;
  if (tensors.contains("blocks.0.0.conv_dw.weight")) return Convention::timm_mobile;
  if (tensors.contains("features.1.conv.0.0.weight")) return Convention::torchvision_mobile;
  if (!tensors.contains("layer1.0.conv1.weight")) return std::nullopt;
  return tensors.contains("linear.weight") ? Convention::cifar_resnet : Convention::resnet;
}

std::vector<UnitFacts> units_of(Convention convention, Reader& reader) {
  switch (convention) {
    case Convention::resnet:
      return resnet_units(reader, false);
    case Convention::cifar_resnet:
      return resnet_units(reader, true);
    case Convention::timm_mobile:
      return timm_mobile_units(reader);
    case Convention::torchvision_mobile:
      return torchvision_mobile_units(reader);
    case Convention::keras_mobile:
      return keras_mobile_units(reader);
  }
  throw Fault("a convolutional network is of an unknown kind");
}

const char* head_of(Convention convention) {
  switch (convention) {
    case Convention::resnet:
      return "fc";
    case Convention::cifar_resnet:
      return "linear";
    case Convention::torchvision_mobile:
      return "classifier.1";
    case Convention::keras_mobile:
      return "conv_preds";
    default:
      return "classifier";
  }
}

/// What timm's names, the config or the convention say; what none of them says is refused.
void set_conventions(const ModelConfig& config, Convention convention, Reader& reader) {
  const bool is_resnet = convention == Convention::resnet || convention == Convention::cifar_resnet;
  const bool is_keras = convention == Convention::keras_mobile;
  const auto& named = config.named;
  reader.activation = config.activation.value_or(named ? std::string(named->activation) : is_resnet ? "relu" : "relu6");
  constexpr double usual = 1e-5, tensorflow = 1e-3;
  reader.epsilon = config.epsilon.value_or(named ? named->epsilon : is_keras ? tensorflow : usual);
  reader.same_padding = config.same_padding.value_or(named ? named->same_padding : is_keras);
  const bool is_told = named || is_resnet || is_keras || config.activation || convention == Convention::torchvision_mobile;
  if (!is_told) {
    throw BadInput(reader.file + ": '" + config.architecture +
                   "' is no name that timm has, and no field states the activation " +
                   "of its convolutions; add \"act_layer\" to model_args, or description.json with {\"activation\": ...}");
  }
}

/// A classifier as a 1 x 1 convolution is a linear layer on the pooled map.
int64_t read_head(const ModelConfig& config, Reader& reader, const std::string& head) {
  const auto said = stated(config, "classes");
  const bool says_none = said ? *said == 0 : config.headless;
  if (!reader.has(head + ".weight") && says_none) return 0;
  const auto weight = reader.tensors.find(head + ".weight");
  if (weight != reader.tensors.end() && weight->second.dim() == 4 && weight->second.size(2) == 1 &&
      weight->second.size(3) == 1) {
    weight->second = weight->second.flatten(1);
  }
  const int64_t classes = required(reader.tensors, head + ".weight", 2, reader.file).size(0);
  if (classes == 1) throw BadInput(reader.file + ": " + head + ".weight has one row, so there is nothing to classify");
  return classes;
}

}  // namespace

bool looks_like_cnn(const TensorMap& tensors) {
  return convention_of(tensors).has_value();
}

Network read_cnn(TensorMap tensors, const ModelConfig& config, const std::string& file) {
  refuse_encoder_settings(config, "convolutional network", file);
  const Convention convention = convention_of(tensors).value();
  Reader reader{.tensors = tensors, .file = file, .activation = {}};
  set_conventions(config, convention, reader);
  CnnFacts f;
  f.image_size = config.image_size > 0 ? config.image_size : stated(config, "image size").value_or(0);
  if (f.image_size == 0) throw BadInput(file + ": no field states the image size, which a convolution does not tell");
  const std::string first = convention == Convention::timm_mobile          ? "conv_stem"
                            : convention == Convention::torchvision_mobile ? "features.0.0"
                                                                           : "conv1";
  f.channels = required(tensors, first + ".weight", 4, file).size(1);
  reader.side = f.image_size;
  reader.channels = f.channels;
  f.units = units_of(convention, reader);
  f.width = reader.channels;
  f.head = head_of(convention);
  f.classes = read_head(config, reader, f.head);
  refuse_stages(config, file);
  if (config.pooling == "none") {
    if (f.classes > 0) throw BadInput(file + ": the config asks for no pooling, and the weights have a classifier behind one");
    f.output = "tokens";
  }
  if (!config.output.empty()) {  // features, whatever the head says of them
    f.output = config.output;
    f.classes = 0;
    for (const char* part : {".weight", ".bias"}) tensors.erase(f.head + part);
  }
  return {cnn_plan(f), std::move(tensors)};
}

}  // namespace eidolon
