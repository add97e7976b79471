#include "model/loading/key_mapping.h"

#include <array>
#include <regex>
#include <utility>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

using Rule = std::pair<std::regex, const char*>;

/// "vit." may be missing, and transformers 5 has other names in memory than in its files.
const std::array<Rule, 12>& hugging_face_rules() {
  static const std::array<Rule, 12> rules{{
      {std::regex("^(vit\\.)?embeddings\\.cls_token$"), "cls_token"},
      {std::regex("^(vit\\.)?embeddings\\.position_embeddings$"), "pos_embed"},
      {std::regex("^(vit\\.)?embeddings\\.patch_embeddings\\.projection\\."), "patch_embed.proj."},
      {std::regex("^(vit\\.)?(encoder\\.layer|layers)\\.(\\d+)\\.layernorm_before\\."), "blocks.$3.norm1."},
      {std::regex("^(vit\\.)?(encoder\\.layer|layers)\\.(\\d+)\\.layernorm_after\\."), "blocks.$3.norm2."},
      {std::regex("^(vit\\.)?encoder\\.layer\\.(\\d+)\\.attention\\.output\\.dense\\."), "blocks.$2.attn.proj."},
      {std::regex("^(vit\\.)?encoder\\.layer\\.(\\d+)\\.intermediate\\.dense\\."), "blocks.$2.mlp.fc1."},
      {std::regex("^(vit\\.)?encoder\\.layer\\.(\\d+)\\.output\\.dense\\."), "blocks.$2.mlp.fc2."},
      {std::regex("^(vit\\.)?layers\\.(\\d+)\\.attention\\.o_proj\\."), "blocks.$2.attn.proj."},
      {std::regex("^(vit\\.)?layers\\.(\\d+)\\.mlp\\."), "blocks.$2.mlp."},
      {std::regex("^(vit\\.)?layernorm\\."), "norm."},
      {std::regex("^classifier\\."), "head."},
  }};
  return rules;
}

/// Joins query, key and value of one projection if all three are there; otherwise leaves them to be reported.
bool join_qkv(const TensorMap& tensors, const std::string& name, TensorMap& renamed) {
  static const std::regex part_name(
      "^((?:vit\\.)?(?:encoder\\.layer|layers)\\.(\\d+)\\.attention\\.)(attention\\.)?(query|key|value|[qkv]_proj)\\.(weight|"
      "bias)$");
  std::smatch match;
  if (!std::regex_match(name, match, part_name)) return false;
  const bool is_new = match.str(4).ends_with("_proj");
  if (is_new == match[3].matched) return false;
  const std::array<const char*, 3> names =
      is_new ? std::array{"q_proj.", "k_proj.", "v_proj."} : std::array{"query.", "key.", "value."};
  std::vector<Tensor> parts;
  for (const char* part : names) {
    const auto found = tensors.find(match.str(1) + match.str(3) + part + match.str(5));
    if (found == tensors.end() || found->second.dim() == 0) return false;
    parts.push_back(found->second);
  }
  for (const Tensor& part : parts) {
    if (part.sizes() != parts[0].sizes() || part.scalar_type() != parts[0].scalar_type()) return false;
  }
  if (match.str(4) + "." == names[0]) renamed["blocks." + match.str(2) + ".attn.qkv." + match.str(5)] = at::cat(parts);
  return true;
}

std::string renamed_by_rule(const std::string& name) {
  for (const auto& [pattern, replacement] : hugging_face_rules()) {
    if (std::regex_search(name, pattern)) return std::regex_replace(name, pattern, replacement);
  }
  return name;
}

/// A pooler is read by Hugging Face's ViTModel only; the others are buffers, not parameters.
bool is_unused(const std::string& name) {
  static const std::regex unused("(^|\\.)(pooler\\.dense\\.(weight|bias)|position_ids|num_batches_tracked)$");
  return std::regex_search(name, unused);
}

/// What stands in front of the class token's right name.
std::string prefix_of(const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) {
    for (const std::string right : {"vit.embeddings.cls_token", "embeddings.cls_token", "cls_token"}) {
      if (name == right) return "";
      if (name.ends_with("." + right)) return name.substr(0, name.size() - right.size());
    }
  }
  return "";
}

TensorMap without_prefix(const TensorMap& tensors, const std::string& prefix, const std::string& file) {
  TensorMap result;
  std::vector<std::string> others;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) {
      result[name.substr(prefix.size())] = tensor;
    } else {
      others.push_back(name);
    }
  }
  if (others.empty()) return result;
  throw BadInput(file + ": the prefix '" + prefix + "' stands in front of " + std::to_string(result.size()) +
                 " names but not of '" + others[0] + "'" +
                 (others.size() > 1 ? " and " + std::to_string(others.size() - 1) + " more" : "") +
                 "; save the state_dict() of the classifier itself");
}

}  // namespace

bool has_hugging_face_names(const TensorMap& tensors) {
  for (const char* start : {"vit.embeddings.", "vit.encoder.", "vit.layers.", "vit.layernorm.", "embeddings."}) {
    const auto first = tensors.lower_bound(start);
    if (first != tensors.end() && first->first.starts_with(start)) return true;
  }
  return false;
}

TensorMap from_hugging_face(const TensorMap& tensors) {
  TensorMap renamed;
  for (const auto& [name, tensor] : tensors) {
    if (!join_qkv(tensors, name, renamed)) renamed[renamed_by_rule(name)] = tensor;
  }
  return renamed;
}

std::vector<std::string> to_hugging_face(const std::string& name) {
  static const std::regex qkv("^blocks\\.(\\d+)\\.attn\\.qkv\\.(.*)");
  static const std::array<Rule, 10> rules{{
      {std::regex("^cls_token$"), "vit.embeddings.cls_token"},
      {std::regex("^pos_embed$"), "vit.embeddings.position_embeddings"},
      {std::regex("^patch_embed\\.proj\\."), "vit.embeddings.patch_embeddings.projection."},
      {std::regex("^blocks\\.(\\d+)\\.norm1\\."), "vit.encoder.layer.$1.layernorm_before."},
      {std::regex("^blocks\\.(\\d+)\\.norm2\\."), "vit.encoder.layer.$1.layernorm_after."},
      {std::regex("^blocks\\.(\\d+)\\.attn\\.proj\\."), "vit.encoder.layer.$1.attention.output.dense."},
      {std::regex("^blocks\\.(\\d+)\\.mlp\\.fc1\\."), "vit.encoder.layer.$1.intermediate.dense."},
      {std::regex("^blocks\\.(\\d+)\\.mlp\\.fc2\\."), "vit.encoder.layer.$1.output.dense."},
      {std::regex("^norm\\."), "vit.layernorm."},
      {std::regex("^head\\."), "classifier."},
  }};
  std::smatch match;
  if (std::regex_match(name, match, qkv)) {
    const std::string attention = "vit.encoder.layer." + match.str(1) + ".attention.attention.";
    return {attention + "query." + match.str(2), attention + "key." + match.str(2), attention + "value." + match.str(2)};
  }
  for (const auto& [pattern, replacement] : rules) {
    if (std::regex_search(name, pattern)) return {std::regex_replace(name, pattern, replacement)};
  }
  return {name};
}

TimmNames to_timm_names(const TensorMap& tensors, const std::string& file) {
  TimmNames result;
  TensorMap used;
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : tensors) {
    if (is_unused(name)) {
      unused.push_back(name);
    } else {
      used[name] = tensor;
    }
  }
  if (!unused.empty()) {
    result.remarks.push_back(file + ": " + unused[0] +
                             (unused.size() > 1 ? " and " + std::to_string(unused.size() - 1) + " more" : "") +
                             " passed over, since classification does not use them");
  }
  const std::string prefix = prefix_of(used);
  if (!prefix.empty()) {
    used = without_prefix(used, prefix, file);
    result.remarks.push_back(file + ": the prefix '" + prefix + "' in front of all names was taken off");
  }
  result.tensors = has_hugging_face_names(used) ? from_hugging_face(used) : used;
  return result;
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
