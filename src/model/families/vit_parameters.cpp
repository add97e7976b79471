#include "model/families/vit_parameters.h"

#include <algorithm>
#include <regex>
#include <vector>

#include "base/error.h"
#include "model/families/required.h"
#include "model/loading/joining.h"

namespace eidolon {

int64_t count_blocks(const TensorMap& tensors) {
  static const std::regex block("^blocks\\.(\\d{1,4})\\..*");
  int64_t depth = 0;
  std::smatch match;
  for (const auto& [name, tensor] : tensors) {
    if (std::regex_match(name, match, block)) depth = std::max<int64_t>(depth, std::stoll(match.str(1)) + 1);
  }
  return depth;
}

std::string block_name(int64_t index) {
  return "blocks." + std::to_string(index);
}

void join_blocks(TensorMap& tensors, int64_t depth, const std::string& file) {
  for (int64_t block = 0; block < depth; ++block) {
    const std::string name = block_name(block), attention = name + ".attn", mlp = name + ".mlp";
    join_layers(tensors, {attention + ".q_proj", attention + ".k_proj", attention + ".v_proj"}, attention + ".qkv");
    if (const auto bias = tensors.find(attention + ".q_bias"); bias != tensors.end()) {
      tensors[attention + ".k_bias"] = at::zeros_like(bias->second);
      join_rows(tensors, {attention + ".q_bias", attention + ".k_bias", attention + ".v_bias"}, attention + ".qkv.bias");
    }
    join_layers(tensors, {mlp + ".fc1_g", mlp + ".fc1_x"}, mlp + ".fc1");
    join_layers(tensors, {mlp + ".fc1_x"}, mlp + ".fc1");  // transformers' name of an MLP without a gate
    if (tensors.contains(mlp + ".fc3.weight")) {
      join_layers(tensors, {mlp + ".fc1", mlp + ".fc3"}, mlp + ".fc1");
    }
    fold_scale(tensors, name + ".ls1.gamma", attention + ".proj", file);
    fold_scale(tensors, name + ".ls2.gamma", mlp + ".fc2", file);
  }
}

void join_heads(TensorMap& tensors) {
  const auto first = tensors.find("head.weight"), second = tensors.find("head_dist.weight");
  const auto bias = tensors.find("head.bias"), other = tensors.find("head_dist.bias");
  for (const auto& found : {first, second, bias, other}) {
    if (found == tensors.end()) return;
  }
  if (first->second.sizes() != second->second.sizes() || bias->second.sizes() != other->second.sizes()) return;
  first->second = at::cat({first->second, second->second}, -1) / 2;
  bias->second = (bias->second + other->second) / 2;
  tensors.erase("head_dist.weight");
  tensors.erase("head_dist.bias");
}

void split_pooling(TensorMap& tensors) {
  for (const char* part : {"weight", "bias"}) {
    const auto joint = tensors.find(std::string("attn_pool.in_proj.") + part);
    if (joint == tensors.end() || joint->second.dim() == 0 || joint->second.size(0) % 3 != 0) continue;
    const Tensor all = joint->second;
    const int64_t width = all.size(0) / 3;
    tensors.erase(joint);
    tensors[std::string("attn_pool.q.") + part] = all.narrow(0, 0, width);
    tensors[std::string("attn_pool.kv.") + part] = all.narrow(0, width, 2 * width);
  }
}

void settle_pooling_query(TensorMap& tensors, const VitFacts& f, const std::string& file) {
  const Tensor latent = required(tensors, "attn_pool.latent", 3, file),
               weight = required(tensors, "attn_pool.q.weight", 2, file);
  const Tensor bias = required(tensors, "attn_pool.q.bias", 1, file);
  if (latent.sizes() != at::IntArrayRef{1, 1, f.width} || weight.sizes() != at::IntArrayRef{f.width, f.width} ||
      bias.sizes() != at::IntArrayRef{f.width}) {
    throw BadInput(file + ": attn_pool.latent, attn_pool.q.weight and attn_pool.q.bias are not one query of width " +
                   std::to_string(f.width));
  }
  const int64_t heads = f.pooling_heads;
  tensors["attn_pool.query"] =
      at::linear(latent.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble)).to(at::kFloat).view({1, heads, 1, -1});
  for (const char* name : {"attn_pool.latent", "attn_pool.q.weight", "attn_pool.q.bias"}) tensors.erase(name);
}

void add_missing_biases(TensorMap& tensors, int64_t depth, const ModelConfig& config, const std::string& file) {
  for (const std::string layer : {".attn.qkv", ".attn.proj", ".mlp.fc1", ".mlp.fc2"}) {
    bool anywhere = layer == ".attn.qkv" && config.qkv_bias.value_or(false);
    for (int64_t block = 0; block < depth; ++block)
      anywhere = anywhere || tensors.contains(block_name(block) + layer + ".bias");
    if (anywhere && layer == ".attn.qkv" && !config.qkv_bias.value_or(true)) {
      throw BadInput(file + ": the config states qkv_bias false, but the weights have 'blocks.0.attn.qkv.bias'");
    }
    if (anywhere) continue;
    for (int64_t block = 0; block < depth; ++block) add_zero_bias(tensors, block_name(block) + layer);
  }
  if (tensors.contains("norm_pre.weight") || tensors.contains("patch_embed.norm.weight")) {
    add_zero_bias(tensors, "patch_embed.proj");
  }
}

void add_shifts(TensorMap& tensors) {
  static const std::regex norm("^(.*(?:^|\\.)(?:norm\\d?|norm_pre|fc_norm|q_norm|k_norm))\\.weight$");
  std::vector<std::string> names;
  std::smatch match;
  for (const auto& [name, tensor] : tensors) {
    if (std::regex_match(name, match, norm)) names.push_back(match.str(1));
  }
  for (const std::string& name : names) add_zero_bias(tensors, name);
}

}  // namespace eidolon
