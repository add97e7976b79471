#include "model/loading/swin_names.h"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace eidolon {
namespace {

using Rule = std::pair<std::regex, std::string>;

std::string renamed(const std::vector<Rule>& rules, std::string name) {
  for (const auto& [pattern, replacement] : rules) name = std::regex_replace(name, pattern, replacement);
  return name;
}

std::vector<Rule> rules_of(const std::vector<std::pair<const char*, const char*>>& texts) {
  std::vector<Rule> rules;
  for (const auto& [pattern, replacement] : texts) rules.emplace_back(std::regex(pattern), replacement);
  return rules;
}

/// Hugging Face's and OpenMMLab's names as the authors'.
const std::vector<Rule>& foreign_rules() {
  static const std::vector<Rule> rules = rules_of({
      {"^embeddings\\.patch_embeddings\\.projection\\.", "patch_embed.proj."},
      {"^embeddings\\.norm\\.", "patch_embed.norm."},
      {"^patch_embed\\.projection\\.", "patch_embed.proj."},
      {"^encoder\\.layers\\.", "layers."},
      {"^stages\\.", "layers."},
      {"\\.layernorm_before\\.", ".norm1."},
      {"\\.layernorm_after\\.", ".norm2."},
      {"\\.attention\\.(?:self\\.)?(?:query|q_proj)\\.", ".attn.q_proj."},
      {"\\.attention\\.(?:self\\.)?(?:key|k_proj)\\.", ".attn.k_proj."},
      {"\\.attention\\.(?:self\\.)?(?:value|v_proj)\\.", ".attn.v_proj."},
      {"\\.attention\\.(?:self\\.)?relative_position", ".attn.relative_position"},
      {"\\.attention\\.(?:output\\.dense|o_proj)\\.", ".attn.proj."},
      {"\\.attn\\.w_msa\\.", ".attn."},
      {"\\.intermediate\\.dense\\.", ".mlp.fc1."},
      {"\\.output\\.dense\\.", ".mlp.fc2."},
      {"\\.ffn\\.layers\\.0\\.0\\.", ".mlp.fc1."},
      {"\\.ffn\\.layers\\.1\\.", ".mlp.fc2."},
      {"^(?:swin\\.)?layernorm\\.", "norm."},
      {"^classifier\\.", "head.fc."},
      {"^head\\.(weight|bias)$", "head.fc.$1"},
  });
  return rules;
}

int64_t number_after(const std::string& name, const std::string& prefix) {
  return std::strtoll(name.c_str() + prefix.size(), nullptr, 10);
}

/// "features.3.1.attn.qkv.bias" is block 1 of stage 1; "features.2" is the merging in front of it.
std::string from_torchvision(const std::string& name) {
  static const std::vector<Rule> rules = rules_of({{"^features\\.0\\.0\\.", "patch_embed.proj."},
                                                   {"^features\\.0\\.2\\.", "patch_embed.norm."},
                                                   {"\\.mlp\\.0\\.", ".mlp.fc1."},
                                                   {"\\.mlp\\.3\\.", ".mlp.fc2."},
                                                   {"^head\\.", "head.fc."}});
  std::string now = renamed(rules, name);
  if (!now.starts_with("features.")) return now;
  const int64_t index = number_after(now, "features.");
  const std::string rest = now.substr(now.find('.', 9) + 1);
  return index % 2 == 1 ? "layers." + std::to_string(index / 2) + ".blocks." + rest
                        : "layers." + std::to_string(index / 2) + ".downsample." + rest;
}

/// From the end of a stage to the beginning of the next.
std::string with_merging_in_front(const std::string& name) {
  static const std::regex merging("^layers\\.(\\d+)\\.downsample\\.(.*)$");
  std::smatch match;
  if (!std::regex_match(name, match, merging)) return name;
  return "layers." + std::to_string(std::stoll(match.str(1)) + 1) + ".downsample." + match.str(2);
}

/// Columns in the order of nn.Unfold, channels slowest, as timm has them.
Tensor reordered(const Tensor& parameter) {
  const int64_t inputs = parameter.size(-1);
  if (inputs % 4 != 0) return parameter;
  const Tensor places = parameter.unflatten(-1, {inputs / 4, 4}).transpose(-1, -2);
  const Tensor order = at::tensor({0, 2, 1, 3}, at::kLong);
  return places.index_select(-2, order).flatten(-2).contiguous();
}

bool any_matches(const TensorMap& tensors, const std::regex& pattern) {
  return std::ranges::any_of(tensors, [&](const auto& entry) { return std::regex_search(entry.first, pattern); });
}

}  // namespace

bool has_swin_names(const TensorMap& tensors) {
  static const std::regex block(
      "^((encoder\\.)?layers\\.\\d+\\.blocks\\.\\d+\\.att(n|ention)\\.|features\\.\\d+\\.\\d+\\.attn\\.|"
      "stages\\.\\d+\\.blocks\\.\\d+\\.attn\\.w_msa\\.)");
  return any_matches(tensors, block);
}

SwinNames to_timms_swin(const TensorMap& tensors) {
  static const std::regex torchvision("^features\\."), openmmlab("\\.w_msa\\."), at_the_end("^layers\\.0\\.downsample\\.");
  static const std::regex hugging_face("^encoder\\.layers\\."), own_norm("^hidden_states_norms\\.stage(\\d+)\\.");
  static const std::regex index("relative_position_index$|attn_mask$|relative_coords_table$");
  SwinNames result;
  const bool is_torchvision = any_matches(tensors, torchvision), is_openmmlab = any_matches(tensors, openmmlab);
  for (const auto& [name, tensor] : tensors) {
    if (std::regex_search(name, index)) continue;
    std::smatch match;
    std::string now = is_torchvision ? from_torchvision(name) : renamed(foreign_rules(), name);
    if (std::regex_search(name, match, own_norm)) {
      now = "norm" + std::to_string(std::stoll(match.str(1)) - 1) + "." + match.suffix().str();
    }
    result.tensors[now] = tensor;
  }
  const bool merges_at_the_end = any_matches(result.tensors, at_the_end);
  if (merges_at_the_end) {
    TensorMap moved;
    for (const auto& [name, tensor] : result.tensors) moved[with_merging_in_front(name)] = tensor;
    result.tensors = std::move(moved);
  }
  if (is_openmmlab) {
    for (auto& [name, tensor] : result.tensors) {
      if (name.find(".downsample.") != std::string::npos && tensor.dim() > 0) tensor = reordered(tensor);
    }
  }
  const bool is_backbone = any_matches(result.tensors, std::regex("^norm\\d\\.weight$"));
  result.conventions.is_backbone = is_backbone;
  // timm has the mergings in front; a single stage tells nothing, and needs nothing.
  result.conventions.rolled_first =
      !merges_at_the_end && !is_torchvision && !is_openmmlab && !any_matches(tensors, hugging_face);
  if (is_torchvision) result.conventions.covering = "pads";
  if (is_openmmlab || is_backbone) result.conventions.covering = "pads and shifts";
  return result;
}

}  // namespace eidolon
