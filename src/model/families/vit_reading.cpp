// A vision transformer from its parameters: what their shapes say, and the exact changes that make all of them alike.
#include <algorithm>
#include <cmath>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cluster/log.h"
#include "model/families/position_tables.h"
#include "model/families/required.h"
#include "model/families/vit.h"
#include "model/loading/joining.h"
#include "model/shape_text.h"

namespace eidolon {
namespace {

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

/// Makes every block's query, key and value one layer, and a gate and what it multiplies one.
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

/// Zeros for the biases that no block of the network has.
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

/// RMSNorm has no shift: with one of zeros it is a norm like the others, and RepQ's folding can use it.
void add_shifts(TensorMap& tensors) {
  static const std::regex norm("^(.*(?:^|\\.)(?:norm\\d?|norm_pre|fc_norm|q_norm|k_norm))\\.weight$");
  std::vector<std::string> names;
  std::smatch match;
  for (const auto& [name, tensor] : tensors) {
    if (std::regex_match(name, match, norm)) names.push_back(match.str(1));
  }
  for (const std::string& name : names) add_zero_bias(tensors, name);
}

/// DeiT's mean of two heads (Touvron et al., 2021, arXiv 2012.12877, section 5.2) as one head on both tokens.
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

/// The constant query W_q u + b_q of attention pooling, with its heads apart.
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

/// transformers' joint projection of query, key and value.
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

std::optional<TimmName> named(const ModelConfig& config, int64_t width) {
  return config.named && config.named->width == width ? config.named : std::nullopt;
}

int64_t heads_of(const ModelConfig& config, int64_t width, const std::string& file) {
  if (config.heads) return *config.heads;
  if (const auto name = named(config, width); name && name->heads > 0) return name->heads;
  const std::string reason = config.named
                                 ? "timm's '" + config.architecture + "' has width " + std::to_string(config.named->width) +
                                       ", the weights have " + std::to_string(width)
                                 : "'" + config.architecture + "' is not timm's name of a vision transformer";
  throw BadInput(file + ": no field states the number of heads, and " + reason +
                 "; add \"model_args\": {\"num_heads\": ...} to config.json, or description.json with {\"heads\": ...}");
}

int64_t square_root(int64_t number) {
  return static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<int64_t>(number, 0)))));
}

bool is_square(int64_t number) {
  return number > 0 && square_root(number) * square_root(number) == number;
}

/// Where positions stand, and the patches a side that the file has.
struct Positions {
  std::string on = "none";
  int64_t grid = 0;
};

Positions positions_of(const TensorMap& tensors, const VitFacts& f, std::optional<int64_t> stated_grid,
                       const std::string& file) {
  const int64_t rows = required(tensors, "pos_embed", 3, file).size(1), prefix = f.class_tokens + f.registers;
  // Of small grids both may be squares; then the grid that the config states decides.
  if (stated_grid && rows == *stated_grid * *stated_grid && prefix > 0) return {"patches", *stated_grid};
  if (is_square(rows - prefix)) return {"all", square_root(rows - prefix)};
  if (is_square(rows)) return {"patches", square_root(rows)};
  throw BadInput(file + ": pos_embed has " + std::to_string(rows) + " tokens, which is not a square grid of patches, with or " +
                 "without the " + std::to_string(prefix) + " token" + (prefix == 1 ? "" : "s") + " in front");
}

/// Meta's and transformers' DINOv2 adds a position to the class token before the registers come in between.
void move_class_position(TensorMap& tensors, const VitFacts& f) {
  const auto positions = tensors.find("pos_embed"), token = tensors.find("cls_token");
  if (f.registers == 0 || f.class_tokens != 1 || positions == tensors.end() || token == tensors.end()) return;
  Tensor& all = positions->second;
  const bool has_class_position = all.dim() == 3 && is_square(all.size(1) - 1) && !is_square(all.size(1)) &&
                                  token->second.sizes() == all.narrow(1, 0, 1).sizes();
  if (!has_class_position) return;
  token->second = token->second + all.narrow(1, 0, 1);
  all = all.narrow(1, 1, all.size(1) - 1).contiguous();
}

int64_t tokens_in(const TensorMap& tensors, const std::string& name, const std::string& file) {
  return tensors.contains(name) ? required(tensors, name, 3, file).size(1) : 0;
}

/// The image size: the job's, what the config states if its library resamples positions, or what the positions have.
int64_t image_size_of(const ModelConfig& config, const Positions& positions, int64_t patch_size, const std::string& file) {
  if (config.image_size > 0) return config.image_size;
  const auto said = stated(config, "image size");
  if (positions.grid == 0) {
    if (!said) throw BadInput(file + ": no position says how large images are, and no field of config.json");
    return *said;
  }
  if (said && config.resamples_positions) return *said;
  return positions.grid * patch_size;
}

std::string pooling_of(const ModelConfig& config, const TensorMap& tensors, const VitFacts& f, const std::string& file) {
  const auto head = tensors.find("head.weight");
  if (f.class_tokens == 2 && head != tensors.end() && head->second.size(1) == 2 * f.width) return "class tokens";
  std::string pooling;
  if (config.pooling) {
    pooling = *config.pooling;
  } else if (const auto name = named(config, f.width)) {
    pooling = std::string(name->pooling);
  } else if (f.class_tokens > 0) {
    pooling = "token";
  } else {
    throw BadInput(file + ": no field states how the tokens are pooled, and there is no class token; add \"global_pool\"");
  }
  if (pooling == "token" && f.class_tokens == 0) {
    throw BadInput(file + ": the config asks for the class token, and the weights have none; state how tokens are pooled");
  }
  const bool norms_patches = f.last_norm && !f.pooled_norm && pooling == "avg" && config.library == "timm";
  if (norms_patches && !named(config, f.width) && config.pooled_norm.value_or(true)) {
    throw BadInput(file +
                   ": global_pool is \"avg\", behind which timm puts fc_norm, but the weights have the norm in front; "
                   "state model_args.fc_norm = false if that is right");
  }
  if (pooling == "map" && !tensors.contains("attn_pool.kv.weight")) {
    throw BadInput(file + ": the config asks for attention pooling, and the weights have no attn_pool");
  }
  if (pooling == "avg") return "mean";
  return pooling == "map" ? "attention" : pooling;
}

/// Shapes that the parameters' own sizes tell.
VitFacts facts_of(const TensorMap& tensors, const ModelConfig& config, int64_t depth, const std::string& file) {
  const Tensor& patch = required(tensors, "patch_embed.proj.weight", 4, file);
  const Tensor& hidden = required(tensors, "blocks.0.mlp.fc1.weight", 2, file);
  const auto has = [&](const std::string& name) { return tensors.contains(name); };
  VitFacts f;
  f.width = patch.size(0);
  f.channels = patch.size(1);
  f.patch_size = patch.size(2);
  f.depth = depth;
  f.heads = heads_of(config, f.width, file);
  if (f.width % f.heads != 0) {
    throw BadInput(file + ": width " + std::to_string(f.width) + " does not divide into " + std::to_string(f.heads) +
                   " heads; state model_args.num_heads in config.json");
  }
  const auto down = tensors.find("blocks.0.mlp.fc2.weight");
  f.hidden_width = hidden.size(0);
  if (down != tensors.end() && down->second.dim() == 2 && 2 * down->second.size(1) == f.hidden_width) {
    f.gated = true;
    f.hidden_width = down->second.size(1);
  }
  f.class_tokens = (has("cls_token") ? 1 : 0) + (has("dist_token") ? 1 : 0);
  f.registers = tokens_in(tensors, "reg_token", file);
  f.embedding_norm = has("patch_embed.norm.weight");
  f.norm_before_blocks = has("norm_pre.weight");
  f.root_mean_square = has("blocks.0.norm1.weight") && !has("blocks.0.norm1.bias");
  f.query_key_norm = has("blocks.0.attn.q_norm.weight");
  f.inner_norm = has("blocks.0.attn.norm.weight");
  f.mlp_norm = has("blocks.0.mlp.norm.weight");
  f.attention_bias = has("blocks.0.attn.relative_position_bias_table");
  f.last_norm = has("norm.weight") || has("norm.bias");
  f.pooled_norm = has("fc_norm.weight") || has("fc_norm.bias");
  return f;
}

/// What no parameter tells.
void add_stated_facts(const ModelConfig& config, VitFacts& f) {
  const auto name = named(config, f.width);
  f.epsilon = config.epsilon.value_or(name ? name->epsilon : 1e-6);
  const std::string usual = f.gated ? "silu" : "gelu";  // timm's constructors
  f.activation = config.activation.value_or(name ? std::string(name->activation) : usual);
}

void add_head_facts(const TensorMap& tensors, const ModelConfig& config, const std::string& file, VitFacts& f) {
  const auto classes = stated(config, "classes");
  const bool without_head = config.headless && !config.gives_embedding;
  const bool is_headless = !tensors.contains("head.weight") && (without_head || classes.value_or(1) == 0);
  f.classes = is_headless ? 0 : required(tensors, "head.weight", 2, file).size(0);
  f.gives_embedding = f.classes > 0 && config.gives_embedding;
  if (f.classes == 1 && !f.gives_embedding) {
    throw BadInput(file +
                   ": head.weight has one row, so there is nothing to classify; regression and yes-or-no models with one " +
                   "output are not built");
  }
}

Rotation rotation_of(const TensorMap& tensors, const ModelConfig& config, const VitFacts& f) {
  if (config.rotation) return *config.rotation;
  if (const auto name = named(config, f.width)) return name->rope;
  return tensors.contains("rope.freqs") ? Rotation{.kind = "mixed", .columns_first = true} : Rotation{};
}

/// Turns what stands in the file for the places of patches into the tables that the blocks read.
void settle_places(TensorMap& tensors, const Rotation& rotation, const VitFacts& f, const std::string& file) {
  const int64_t grid = f.image_size / f.patch_size, head = f.width / f.heads;
  if (f.rotation == "shared by all blocks") tensors["rope"] = rotation_table(rotation, grid, head);
  if (f.rotation == "of each block") {
    const Tensor frequencies = required(tensors, "rope.freqs", 4, file);
    if (frequencies.sizes() != at::IntArrayRef{2, f.depth, f.heads, head / 2}) {
      throw BadInput(file + ": 'rope.freqs' has shape " + shape_text(frequencies.sizes()) +
                     ", which is not 2 x blocks x heads x " + std::to_string(head / 2));
    }
    for (int64_t block = 0; block < f.depth; ++block) {
      tensors[block_name(block) + ".attn.rope"] = rotation_table(frequencies.select(1, block), rotation.columns_first, grid);
    }
    tensors.erase("rope.freqs");
  }
  if (!f.attention_bias) return;
  const int64_t rows = (2 * grid - 1) * (2 * grid - 1) + 3;
  for (int64_t block = 0; block < f.depth; ++block) {
    const std::string name = block_name(block) + ".attn.relative_position_bias_table";
    const Tensor table = required(tensors, name, 2, file);
    if (f.class_tokens != 1 || f.registers != 0 || table.size(0) != rows || table.size(1) != f.heads) {
      throw BadInput(file + ": '" + name + "' has shape " + shape_text(table.sizes()) + ", which is not " +
                     std::to_string(rows) + " x " + std::to_string(f.heads) +
                     "; tables for other image sizes are not resampled");
    }
    tensors[block_name(block) + ".attn.bias"] = relative_bias(table, grid, /*class_token=*/true);
    tensors.erase(name);
  }
}

/// Of these timm resamples positions without antialiasing (timm/models/vision_transformer.py, checkpoint filters).
bool resamples_otherwise(const std::string& architecture) {
  return architecture.find("flexivit") != std::string::npos || architecture.find("radio") != std::string::npos;
}

}  // namespace

bool looks_like_vit(const TensorMap& tensors) {
  return tensors.contains("cls_token") || tensors.contains("pos_embed") || tensors.contains("patch_embed.proj.weight") ||
         count_blocks(tensors) > 0;
}

Network read_vit(TensorMap tensors, const ModelConfig& config, const std::string& file) {
  const int64_t depth = count_blocks(tensors);
  const bool layer_scale = tensors.contains("blocks.0.ls1.gamma");
  join_blocks(tensors, depth, file);
  join_heads(tensors);
  split_pooling(tensors);
  VitFacts f = facts_of(tensors, config, depth, file);
  f.layer_scale = layer_scale;
  add_stated_facts(config, f);
  add_head_facts(tensors, config, file, f);
  f.pooling = pooling_of(config, tensors, f, file);
  if (f.pooling == "none") {
    f.pooling = f.class_tokens > 0 ? "token" : "mean";
    f.output = "tokens";
  }
  refuse_stages(config, file);
  if (!config.output.empty()) {  // features, whatever the head says of them
    f.output = config.output;
    f.classes = 0;
    f.gives_embedding = false;
    for (const char* name : {"head.weight", "head.bias"}) tensors.erase(name);
    if (f.pooling == "class tokens") f.pooling = "token";
  }

  const Rotation rotation = rotation_of(tensors, config, f);
  if (!rotation.kind.empty()) f.rotation = rotation.kind == "mixed" ? "of each block" : "shared by all blocks";
  f.rotates_halves = rotation.halves;
  if (!rotation.kind.empty() && f.width / f.heads % 4 != 0) {
    throw BadInput(file + ": heads of width " + std::to_string(f.width / f.heads) + " cannot be rotated in two axes");
  }
  move_class_position(tensors, f);
  Positions positions;
  const bool needs_positions = rotation.kind.empty() && !f.attention_bias;
  if (needs_positions || tensors.contains("pos_embed")) {
    const auto side = stated(config, "image size");
    positions = positions_of(tensors, f, side ? std::optional(*side / f.patch_size) : std::nullopt, file);
  }
  f.positions = positions.on;
  f.image_size = image_size_of(config, positions, f.patch_size, file);
  const int64_t grid = f.image_size / f.patch_size;
  if (f.image_size % f.patch_size != 0 || grid == 0) {
    throw BadInput(file + ": images of side " + std::to_string(f.image_size) + " do not divide into patches of side " +
                   std::to_string(f.patch_size));
  }
  if (positions.grid != 0 && positions.grid != grid) {
    if (config.library == "timm" && resamples_otherwise(config.architecture)) {
      throw BadInput(file + ": timm resamples the positions of '" + config.architecture +
                     "' by other rules, which are not built; " + "leave teacher.image_size at " +
                     std::to_string(positions.grid * f.patch_size));
    }
    const int64_t prefix = f.positions == "all" ? f.class_tokens + f.registers : 0;
    tensors["pos_embed"] = resampled_positions(tensors["pos_embed"], prefix, grid, config.antialiases_positions);
    log::info(file + ": positions of " + std::to_string(positions.grid) + " x " + std::to_string(positions.grid) +
              " patches were resampled to " + std::to_string(grid) + " x " + std::to_string(grid));
  }
  if (f.pooling == "attention") {
    const auto name = named(config, f.width);
    f.pooling_heads = config.pooling_heads.value_or(name && name->pool_heads > 0 ? name->pool_heads : f.heads);
    if (f.width % f.pooling_heads != 0) throw BadInput(file + ": attention pooling's heads do not divide the width");
    f.pooling_hidden = required(tensors, "attn_pool.mlp.fc1.weight", 2, file).size(0);
    settle_pooling_query(tensors, f, file);
  }
  settle_places(tensors, rotation, f, file);
  if (config.class_embeddings.defined()) {
    const int64_t feature = f.classes > 0 ? f.classes : f.pooling == "token and mean" ? 2 * f.width : f.width;
    if ((f.classes > 0 && !f.gives_embedding) || f.output != "pooled" || config.class_embeddings.size(1) != feature) {
      throw BadInput(file + ": teacher.class_embeddings are of width " + std::to_string(config.class_embeddings.size(1)) +
                     " and need a pooled feature of that width, which this network does not give");
    }
    f.compared_classes = config.class_embeddings.size(0);
    tensors["class_embeddings"] = config.class_embeddings;
  }
  add_missing_biases(tensors, depth, config, file);
  if (f.root_mean_square) add_shifts(tensors);
  return {vit_plan(f), std::move(tensors)};
}

}  // namespace eidolon
