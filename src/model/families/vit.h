// ViT and DeiT (Dosovitskiy et al., 2021, arXiv 2010.11929): pre-norm blocks, a class token, learned positions, exact GELU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/loading/config.h"
#include "model/plan.h"

namespace eidolon {

struct VitFacts {
  int64_t channels = 3;
  int64_t image_size = 224;
  int64_t patch_size = 16;
  int64_t width = 192;
  int64_t depth = 12;
  int64_t heads = 3;
  int64_t hidden = 768;  ///< of the MLP
  int64_t classes = 1000;
  double layer_norm_epsilon = 1e-6;
};

/// Parameters and nodes have timm's names. Sections: "patch_embed", "blocks.0", ..., "head".
std::shared_ptr<const Plan> vit_plan(const VitFacts& facts);
std::shared_ptr<const Plan> vit_plan_from(const std::string& facts);  ///< from Plan::facts

/// What the shapes of `tensors` (timm's names) and the config say. BadInput, naming `file` and the parameter or field, if they
/// are not those of one ViT or contradict each other.
VitFacts vit_facts(const TensorMap& tensors, const ModelConfig& config, const std::string& file);

bool looks_like_vit(const TensorMap& tensors);

}  // namespace eidolon
