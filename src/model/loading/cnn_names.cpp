#include "model/loading/cnn_names.h"

#include <regex>
#include <string>

namespace eidolon {
namespace {

/// "encoder.stages.0.layers.1.layer.2.convolution.weight" is "layer1.1.conv3.weight".
std::string renamed(const std::string& name) {
  static const std::regex stem("^embedder\\.embedder\\.(convolution|normalization)\\.(.*)$");
  static const std::regex layer(
      "^encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)\\.layer\\.(\\d+)\\.(convolution|normalization)\\.(.*)$");
  static const std::regex skip("^encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)\\.shortcut\\.(convolution|normalization)\\.(.*)$");
  static const std::regex head("^classifier\\.1\\.(.*)$");
  const auto after = [](const std::ssub_match& number) { return std::to_string(std::stoll(number.str()) + 1); };
  std::smatch m;
  if (std::regex_match(name, m, stem)) return (m.str(1) == "convolution" ? "conv1." : "bn1.") + m.str(2);
  if (std::regex_match(name, m, layer)) {
    const std::string kind = m.str(4) == "convolution" ? ".conv" : ".bn";
    return "layer" + after(m[1]) + "." + m.str(2) + kind + after(m[3]) + "." + m.str(5);
  }
  if (std::regex_match(name, m, skip)) {
    return "layer" + after(m[1]) + "." + m.str(2) + ".downsample." + (m.str(3) == "convolution" ? "0." : "1.") + m.str(4);
  }
  return std::regex_match(name, m, head) ? "fc." + m.str(1) : name;
}

}  // namespace

bool has_hugging_face_resnet_names(const TensorMap& tensors) {
  return tensors.contains("embedder.embedder.convolution.weight");
}

TensorMap to_torchvisions_resnet(const TensorMap& tensors) {
  TensorMap result;
  for (const auto& [name, tensor] : tensors) result[renamed(name)] = tensor;
  return result;
}

}  // namespace eidolon
