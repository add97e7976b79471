// A vision transformer from its parameters: what their shapes and the config say of it.
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "model/families/required.h"
#include "model/families/vit.h"
#include "model/families/vit_parameters.h"
#include "model/families/vit_places.h"

namespace eidolon {
namespace {

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

int64_t tokens_in(const TensorMap& tensors, const std::string& name, const std::string& file) {
  return tensors.contains(name) ? required(tensors, name, 3, file).size(1) : 0;
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

/// How tokens are pooled, and which features the network gives where it pools none or the job asks for them.
void add_output_facts(TensorMap& tensors, const ModelConfig& config, const std::string& file, VitFacts& f) {
  f.pooling = pooling_of(config, tensors, f, file);
  if (f.pooling == "none") {
    f.pooling = f.class_tokens > 0 ? "token" : "mean";
    f.output = "tokens";
  }
  refuse_stages(config, file);
  if (config.output.empty()) return;
  f.output = config.output;  // features, whatever the head says of them
  f.classes = 0;
  f.gives_embedding = false;
  for (const char* name : {"head.weight", "head.bias"}) tensors.erase(name);
  if (f.pooling == "class tokens") f.pooling = "token";
}

Rotation rotation_of(const TensorMap& tensors, const ModelConfig& config, const VitFacts& f) {
  if (config.rotation) return *config.rotation;
  if (const auto name = named(config, f.width)) return name->rope;
  return tensors.contains("rope.freqs") ? Rotation{.kind = "mixed", .columns_first = true} : Rotation{};
}

void add_rotation_facts(const Rotation& rotation, const std::string& file, VitFacts& f) {
  f.rotates_halves = rotation.halves;
  if (rotation.kind.empty()) return;
  f.rotation = rotation.kind == "mixed" ? "of each block" : "shared by all blocks";
  if (f.width / f.heads % 4 != 0) {
    throw BadInput(file + ": heads of width " + std::to_string(f.width / f.heads) + " cannot be rotated in two axes");
  }
}

void settle_attention_pooling(TensorMap& tensors, const ModelConfig& config, const std::string& file, VitFacts& f) {
  if (f.pooling != "attention") return;
  const auto name = named(config, f.width);
  f.pooling_heads = config.pooling_heads.value_or(name && name->pool_heads > 0 ? name->pool_heads : f.heads);
  if (f.width % f.pooling_heads != 0) throw BadInput(file + ": attention pooling's heads do not divide the width");
  f.pooling_hidden = required(tensors, "attn_pool.mlp.fc1.weight", 2, file).size(0);
  settle_pooling_query(tensors, f, file);
}

/// The classes that the job gives by embeddings, to which a feature is compared.
void settle_class_embeddings(TensorMap& tensors, const ModelConfig& config, const std::string& file, VitFacts& f) {
  if (!config.class_embeddings.defined()) return;
  const int64_t feature = f.classes > 0 ? f.classes : f.pooling == "token and mean" ? 2 * f.width : f.width;
  if ((f.classes > 0 && !f.gives_embedding) || f.output != "pooled" || config.class_embeddings.size(1) != feature) {
    throw BadInput(file + ": teacher.class_embeddings are of width " + std::to_string(config.class_embeddings.size(1)) +
                   " and need a pooled feature of that width, which this network does not give");
  }
  f.compared_classes = config.class_embeddings.size(0);
  tensors["class_embeddings"] = config.class_embeddings;
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
  add_output_facts(tensors, config, file, f);
  const Rotation rotation = rotation_of(tensors, config, f);
  add_rotation_facts(rotation, file, f);

  settle_positions(tensors, config, file, f);
  settle_attention_pooling(tensors, config, file, f);
  settle_rotation(tensors, rotation, f, file);
  settle_attention_bias(tensors, f, file);
  settle_class_embeddings(tensors, config, file, f);
  add_missing_biases(tensors, depth, config, file);
  if (f.root_mean_square) add_shifts(tensors);
  return {vit_plan(f), std::move(tensors)};
}

}  // namespace eidolon
