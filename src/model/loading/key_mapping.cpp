#include "model/loading/key_mapping.h"

#include <algorithm>
#include <array>
#include <regex>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/loading/cnn_names.h"
#include "model/loading/swin_names.h"

namespace eidolon {
namespace {

/// The beginning of a name, and what takes its place.
struct Renaming {
  std::string_view from, to;
};

/// Behind "blocks.N.": Hugging Face's files, transformers 5's memory, OpenAI, Meta, and timm's own older names.
constexpr Renaming inside_blocks[]{
    {"layernorm_before.", "norm1."},
    {"layer_norm1.", "norm1."},
    {"ln_1.", "norm1."},
    {"layernorm_after.", "norm2."},
    {"layer_norm2.", "norm2."},
    {"ln_2.", "norm2."},
    {"attention.attention.query.", "attn.q_proj."},
    {"attention.attention.key.", "attn.k_proj."},
    {"attention.attention.value.", "attn.v_proj."},
    {"attention.q_proj.", "attn.q_proj."},
    {"attention.k_proj.", "attn.k_proj."},
    {"attention.v_proj.", "attn.v_proj."},
    {"self_attn.q_proj.", "attn.q_proj."},
    {"self_attn.k_proj.", "attn.k_proj."},
    {"self_attn.v_proj.", "attn.v_proj."},
    {"attn.in_proj_", "attn.qkv."},
    {"attention.output.dense.", "attn.proj."},
    {"attention.o_proj.", "attn.proj."},
    {"self_attn.out_proj.", "attn.proj."},
    {"attn.out_proj.", "attn.proj."},
    {"attention.attention.relative_position_bias.", "attn."},
    {"attention.relative_position_bias.", "attn."},
    {"layer_scale1.lambda1", "ls1.gamma"},
    {"layer_scale2.lambda1", "ls2.gamma"},
    {"lambda_1", "ls1.gamma"},
    {"lambda_2", "ls2.gamma"},
    {"gamma_1", "ls1.gamma"},
    {"gamma_2", "ls2.gamma"},
    {"intermediate.dense.", "mlp.fc1."},
    {"output.dense.", "mlp.fc2."},
    {"mlp.weights_in.", "mlp.fc1."},
    {"mlp.weights_out.", "mlp.fc2."},
    {"mlp.w12.", "mlp.fc1."},
    {"mlp.w3.", "mlp.fc2."},
    {"mlp.gate_proj.", "mlp.fc1_g."},
    {"mlp.up_proj.", "mlp.fc1_x."},
    {"mlp.down_proj.", "mlp.fc2."},
    {"mlp.c_fc.", "mlp.fc1."},
    {"mlp.c_proj.", "mlp.fc2."},
};

constexpr Renaming hugging_face[]{
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.class_embedding", "cls_token"},
    {"embeddings.distillation_token", "dist_token"},
    {"embeddings.register_tokens", "reg_token"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.position_embedding.weight", "pos_embed"},
    {"embeddings.patch_embeddings.projection.", "patch_embed.proj."},
    {"embeddings.patch_embeddings.", "patch_embed.proj."},
    {"embeddings.patch_embedding.", "patch_embed.proj."},
    {"pre_layrnorm.", "norm_pre."},
    {"pre_layernorm.", "norm_pre."},
    {"layernorm.", "norm."},
    {"post_layernorm.", "norm."},
    {"pooler.layernorm.", "fc_norm."},
    {"head.probe", "attn_pool.latent"},
    {"head.attention.in_proj_", "attn_pool.in_proj."},
    {"head.attention.out_proj.", "attn_pool.proj."},
    {"head.layernorm.", "attn_pool.norm."},
    {"head.mlp.", "attn_pool.mlp."},
    {"classifier.", "head."},
    {"cls_classifier.", "head."},
    {"distillation_classifier.", "head_dist."},
    {"visual_projection.", "head."},
};

constexpr Renaming openai[]{
    {"class_embedding", "cls_token"},
    {"positional_embedding", "pos_embed"},
    {"conv1.", "patch_embed.proj."},
    {"ln_pre.", "norm_pre."},
    {"ln_post.", "norm."},
};

template <size_t N>
std::string renamed_by(const Renaming (&rules)[N], const std::string& name) {
  const auto* found = std::ranges::find_if(rules, [&](const Renaming& rule) { return name.starts_with(rule.from); });
  if (found == std::end(rules)) return name;
  std::string renamed(found->to);
  renamed.append(name, found->from.size());
  return renamed;
}

/// The first parameter of a network in each convention: what stands in front of it stands in front of the others.
constexpr std::string_view first_names[]{"embeddings.cls_token",
                                         "embeddings.class_embedding",
                                         "embeddings.patch_embeddings.projection.weight",
                                         "embeddings.patch_embeddings.weight",
                                         "embeddings.patch_embedding.weight",
                                         "class_embedding",
                                         "cls_token",
                                         "patch_embed.proj.weight",
                                         "patch_embed.projection.weight",
                                         "features.0.0.weight",
                                         "embedder.embedder.convolution.weight",
                                         "conv_stem.weight",
                                         "layer1.0.conv1.weight",
                                         "conv_dw_1.weight"};

/// In front of an encoder whose head stands outside.
constexpr std::string_view encoder_prefixes[]{"vit.",          "deit.",  "beit.",   "dinov2.", "dinov2_with_registers.",
                                              "vision_model.", "ijepa.", "visual.", "swin.",   "backbone.",
                                              "resnet."};

/// Outside of the network: the rest of a whole model, what training alone needs, and buffers.
bool is_unused(const std::string& name) {
  static const std::regex unused(
      "^(text_model|text_projection|decode_head|auxiliary_head|neck|rpn_head|roi_head|bbox_head|mask_head|decoder\\.(decoder_|"
      "mask_token))"
      "|(^|\\.)(pooler\\.dense\\.(weight|bias)|position_ids|num_batches_tracked|mask_token|relative_position_index|attn_mask|"
      "k_bias)$|^logit_(scale|bias)$");
  return std::regex_search(name, unused);
}

struct Prefix {
  std::string wrapper;  ///< in front of all names: "module."
  std::string encoder;  ///< behind it, in front of the encoder's: "vit."
};

/// "module.vit." is a wrapper and an encoder's prefix.
Prefix apart(std::string_view front) {
  size_t wrapper = front.size();
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view known : encoder_prefixes) {
      const std::string_view before = front.substr(0, wrapper);
      if (!before.ends_with(known) || (before.size() > known.size() && before[before.size() - known.size() - 1] != '.'))
        continue;
      wrapper -= known.size();
      found = true;
    }
  }
  return {std::string(front.substr(0, wrapper)), std::string(front.substr(wrapper))};
}

Prefix prefix_of(const TensorMap& tensors) {
  for (const std::string_view first : first_names) {
    for (const auto& [name, tensor] : tensors) {
      if (!name.ends_with(first) || name.starts_with("text_model.")) continue;
      const std::string_view front = std::string_view(name).substr(0, name.size() - first.size());
      if (!front.empty() && front.back() != '.') continue;
      return apart(front);
    }
  }
  return {};
}

/// The names without the prefixes; a name outside of the encoder loses the wrapper's only. Outside of OpenAI's tower is the
/// text's, which has the same names.
TensorMap without(const Prefix& prefix, const TensorMap& tensors, const std::string& file) {
  TensorMap result;
  std::vector<std::string> others;
  const std::string whole = prefix.wrapper + prefix.encoder;
  const std::string outer = prefix.encoder.starts_with("backbone.") ? prefix.wrapper + "backbone." : prefix.wrapper;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(prefix.wrapper)) {
      others.push_back(name);
    } else if (name.starts_with(whole) || prefix.encoder != "visual.") {
      const bool is_inside = name.starts_with(whole), is_between = name.starts_with(outer);
      result[name.substr(is_inside ? whole.size() : is_between ? outer.size() : prefix.wrapper.size())] = tensor;
    }
  }
  if (others.empty()) return result;
  throw BadInput(file + ": the prefix '" + prefix.wrapper + "' stands in front of " + std::to_string(result.size()) +
                 " names but not of '" + others[0] + "'" +
                 (others.size() > 1 ? " and " + std::to_string(others.size() - 1) + " more" : "") +
                 "; save the state_dict() of the model itself");
}

bool starts(const TensorMap& tensors, const std::string& beginning) {
  const auto first = tensors.lower_bound(beginning);
  return first != tensors.end() && first->first.starts_with(beginning);
}

TensorMap renamed(const TensorMap& tensors) {
  static const std::regex block("^(?:encoder\\.layers?|layers?|model\\.layer|transformer\\.resblocks|blocks)\\.(\\d+)\\.(.*)$");
  const bool is_hugging_face = starts(tensors, "embeddings."), is_openai = tensors.contains("class_embedding");
  TensorMap result;
  for (const auto& [name, tensor] : tensors) {
    std::smatch match;
    if (name == "register_tokens") {
      result["reg_token"] = tensor;
      continue;
    }
    std::string now = is_hugging_face ? renamed_by(hugging_face, name) : is_openai ? renamed_by(openai, name) : name;
    if (std::regex_match(name, match, block)) {
      const std::string inside = renamed_by(inside_blocks, match.str(2));
      const bool is_foreign = is_hugging_face || is_openai || name.starts_with("blocks.");
      if (is_foreign) now = "blocks." + match.str(1) + "." + inside;
    }
    result[now] = tensor;
  }
  return result;
}

/// What other conventions shape otherwise: tokens without the axis of images, a projection as inputs x outputs without a bias.
void reshape(TensorMap& tensors) {
  const auto give_axes = [&](const char* name, std::vector<int64_t> in_front, int64_t dimensions) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.dim() != dimensions) return;
    for (const int64_t size : found->second.sizes()) in_front.push_back(size);
    found->second = found->second.reshape(in_front);
  };
  give_axes("cls_token", {1, 1}, 1);
  give_axes("pos_embed", {1}, 2);
  if (const auto projection = tensors.find("proj"); projection != tensors.end() && projection->second.dim() == 2) {
    tensors["head.weight"] = projection->second.t().contiguous();
    tensors.erase("proj");
  }
  if (const auto head = tensors.find("head.weight"); head != tensors.end() && !tensors.contains("head.bias")) {
    const bool is_projection = tensors.contains("norm_pre.weight") && head->second.dim() == 2;
    if (is_projection) tensors["head.bias"] = at::zeros({head->second.size(0)}, head->second.options());
  }
}

}  // namespace

std::vector<std::string> to_hugging_face(const std::string& name) {
  static const std::regex qkv("^blocks\\.(\\d+)\\.attn\\.qkv\\.(.*)");
  static const std::array<std::pair<std::regex, const char*>, 10> rules{{
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
  const Prefix prefix = prefix_of(tensors);
  TensorMap inside = tensors, used;
  if (!prefix.wrapper.empty() || !prefix.encoder.empty()) inside = without(prefix, tensors, file);
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : inside) {
    if (is_unused(name)) {
      unused.push_back(name);
    } else {
      used[name] = tensor;
    }
  }
  if (!prefix.wrapper.empty()) {
    result.remarks.push_back(file + ": the prefix '" + prefix.wrapper + "' in front of all names was taken off");
  }
  if (!unused.empty()) {
    result.remarks.push_back(file + ": " + unused[0] +
                             (unused.size() > 1 ? " and " + std::to_string(unused.size() - 1) + " more" : "") +
                             " passed over, since the network does not use them");
  }
  if (has_swin_names(used)) {
    const SwinNames swin = to_timms_swin(used);
    result.tensors = swin.tensors;
    result.swin = swin.conventions;
    return result;
  }
  if (has_hugging_face_resnet_names(used)) {
    result.tensors = to_torchvisions_resnet(used);
    return result;
  }
  result.tensors = renamed(used);
  reshape(result.tensors);
  return result;
}

std::string unsupported_feature(const std::string& name) {
  static const std::array<std::pair<std::regex, const char*>, 4> features{{
      {std::regex("\\.rel_pos_[hw]$"), "decomposed relative positions (SAM, ViTDet)"},
      {std::regex("\\.se\\.|\\.fc[12]\\.conv"), "squeeze-and-excitation layers"},
      {std::regex("logit_scale$|cpb_mlp"), "scaled cosine attention (Swin V2)"},
      {std::regex("(^|\\.)(attn_pool\\.(q_norm|k_norm|pos_embed))"), "another attention pooling"},
  }};
  for (const auto& [pattern, feature] : features) {
    if (std::regex_search(name, pattern)) return feature;
  }
  return "";
}

}  // namespace eidolon
