#include "model/key_mapping.h"

#include <array>
#include <regex>
#include <utility>

namespace eidolon {
namespace {

using Rule = std::pair<std::regex, const char*>;

const std::array<Rule, 10>& hugging_face_rules() {
  static const std::array<Rule, 10> rules{{
      {std::regex("^vit\\.embeddings\\.cls_token$"), "cls_token"},
      {std::regex("^vit\\.embeddings\\.position_embeddings$"), "pos_embed"},
      {std::regex("^vit\\.embeddings\\.patch_embeddings\\.projection\\."), "patch_embed.proj."},
      {std::regex("^vit\\.encoder\\.layer\\.(\\d+)\\.layernorm_before\\."), "blocks.$1.norm1."},
      {std::regex("^vit\\.encoder\\.layer\\.(\\d+)\\.layernorm_after\\."), "blocks.$1.norm2."},
      {std::regex("^vit\\.encoder\\.layer\\.(\\d+)\\.attention\\.output\\.dense\\."), "blocks.$1.attn.proj."},
      {std::regex("^vit\\.encoder\\.layer\\.(\\d+)\\.intermediate\\.dense\\."), "blocks.$1.mlp.fc1."},
      {std::regex("^vit\\.encoder\\.layer\\.(\\d+)\\.output\\.dense\\."), "blocks.$1.mlp.fc2."},
      {std::regex("^vit\\.layernorm\\."), "norm."},
      {std::regex("^classifier\\."), "head."},
  }};
  return rules;
}

/// Joins query, key and value of one projection if all three are there; otherwise leaves them to be reported.
bool join_qkv(const TensorMap& tensors, const std::string& name, TensorMap& renamed) {
  static const std::regex query("^vit\\.encoder\\.layer\\.(\\d+)\\.attention\\.attention\\.(query|key|value)\\.(weight|bias)$");
  std::smatch match;
  if (!std::regex_match(name, match, query)) return false;
  const std::string prefix = "vit.encoder.layer." + match.str(1) + ".attention.attention.";
  std::vector<Tensor> parts;
  for (const char* part : {"query.", "key.", "value."}) {
    const auto found = tensors.find(prefix + part + match.str(3));
    if (found == tensors.end() || found->second.dim() == 0) return false;
    parts.push_back(found->second);
  }
  for (const Tensor& part : parts) {
    if (part.sizes() != parts[0].sizes() || part.scalar_type() != parts[0].scalar_type()) return false;
  }
  if (match.str(2) == "query") renamed["blocks." + match.str(1) + ".attn.qkv." + match.str(3)] = at::cat(parts);
  return true;
}

std::string renamed_by_rule(const std::string& name) {
  for (const auto& [pattern, replacement] : hugging_face_rules()) {
    if (std::regex_search(name, pattern)) return std::regex_replace(name, pattern, replacement);
  }
  return name;
}

}  // namespace

bool has_hugging_face_names(const TensorMap& tensors) {
  const auto first = tensors.lower_bound("vit.");
  return first != tensors.end() && first->first.starts_with("vit.");
}

TensorMap from_hugging_face(const TensorMap& tensors) {
  TensorMap renamed;
  for (const auto& [name, tensor] : tensors) {
    if (!join_qkv(tensors, name, renamed)) renamed[renamed_by_rule(name)] = tensor;
  }
  return renamed;
}

std::string unsupported_feature(const std::string& name) {
  static const std::array<std::pair<std::regex, const char*>, 9> features{{
      {std::regex("dist_token|distillation_token|head_dist|distillation_classifier"), "a distillation token"},
      {std::regex("reg_token|register_tokens"), "register tokens"},
      {std::regex("\\.ls[12]\\.gamma|layer_scale|lambda1"), "layer scale"},
      {std::regex("mlp\\.(w12|w3|fc1_g|fc1_x|weights_in)"), "a SwiGLU MLP"},
      {std::regex("^norm_pre\\."), "a LayerNorm before the blocks (pre-norm)"},
      {std::regex("^fc_norm\\."), "average pooling"},
      {std::regex("\\.(q_norm|k_norm)\\."), "query/key normalisation"},
      {std::regex("relative_position"), "relative positions (Swin, BEiT)"},
      {std::regex("^layers\\."), "a hierarchical transformer (Swin)"},
  }};
  for (const auto& [pattern, feature] : features) {
    if (std::regex_search(name, pattern)) return feature;
  }
  return "";
}

}  // namespace eidolon
