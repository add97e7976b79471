#include "model/architecture.h"

#include <map>
#include <vector>

namespace eidolon {

std::map<std::string, std::vector<int64_t>> parameter_shapes(const Architecture& a) {
  std::map<std::string, std::vector<int64_t>> shapes{
      {"cls_token", {1, 1, a.width}},
      {"pos_embed", {1, a.tokens(), a.width}},
      {"patch_embed.proj.weight", {a.width, a.channels, a.patch_size, a.patch_size}},
      {"patch_embed.proj.bias", {a.width}},
      {"norm.weight", {a.width}},
      {"norm.bias", {a.width}},
      {"head.weight", {a.classes, a.width}},
      {"head.bias", {a.classes}},
  };
  for (int64_t block = 0; block < a.depth; ++block) {
    const std::string prefix = "blocks." + std::to_string(block) + ".";
    for (const std::string norm : {"norm1", "norm2"}) {
      shapes[prefix + norm + ".weight"] = {a.width};
      shapes[prefix + norm + ".bias"] = {a.width};
    }
    const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
      shapes[prefix + name + ".weight"] = {out, in};
      shapes[prefix + name + ".bias"] = {out};
    };
    linear("attn.qkv", 3 * a.width, a.width);
    linear("attn.proj", a.width, a.width);
    linear("mlp.fc1", a.hidden, a.width);
    linear("mlp.fc2", a.width, a.hidden);
  }
  return shapes;
}

double forward_macs(const Architecture& a) {
  const double tokens = static_cast<double>(a.tokens()), width = static_cast<double>(a.width);
  const double per_block = tokens * width * (4.0 * width + 2.0 * static_cast<double>(a.hidden)) + 2.0 * tokens * tokens * width;
  const double embedding = static_cast<double>(a.patches() * a.channels * a.patch_size * a.patch_size) * width;
  return embedding + static_cast<double>(a.depth) * per_block + width * static_cast<double>(a.classes);
}

}  // namespace eidolon
