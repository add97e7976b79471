// Plain vision transformers: ViT (Dosovitskiy et al., 2021, arXiv 2010.11929) and what differs from it by switches. DeiT and
// DeiT-III, MAE, BEiT, EVA and EVA02, DINO, DINOv2 and DINOv3, the towers of CLIP and SigLIP, and classifiers made of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/loading/config.h"
#include "model/network.h"

namespace eidolon {

struct VitFacts {
  int64_t channels = 3;
  int64_t image_size = 224;
  int64_t patch_size = 16;
  int64_t width = 192;
  int64_t depth = 12;
  int64_t heads = 3;
  int64_t hidden_width = 768;    ///< of the MLP, what fc2 reads
  int64_t classes = 1000;        ///< outputs of the head; 0: there is none, and the network gives features
  bool gives_embedding = false;  ///< the head's outputs are a feature, as those of CLIP's projection
  double epsilon = 1e-6;         ///< of all norms
  bool root_mean_square = false;

  int64_t class_tokens = 1;  ///< in front of the registers: 2 with DeiT's distillation token, 0 without any
  int64_t registers = 0;
  std::string positions = "all";  ///< on which tokens: all | patches | none
  bool embedding_norm = false, norm_before_blocks = false;

  std::string activation = "gelu";  ///< gelu | gelu_tanh | quick_gelu | silu | relu
  bool gated = false;               ///< the MLP
  bool query_key_norm = false, inner_norm = false, mlp_norm = false;
  bool layer_scale = false;       ///< the file had one, which is a part of proj and fc2 now
  std::string rotation = "none";  ///< of queries and keys: none | shared by all blocks | of each block
  bool rotates_halves = false;
  bool attention_bias = false;

  bool last_norm = true;                          ///< in front of the pooling
  bool pooled_norm = false;                       ///< behind it
  std::string pooling = "token";                  ///< token | mean | token and mean | class tokens | attention
  int64_t pooling_heads = 0, pooling_hidden = 0;  ///< of attention pooling and of its MLP
  std::string output = "pooled";                  ///< what features are given: pooled | tokens | both
  int64_t compared_classes = 0;  ///< whose embeddings, "class_embeddings", the feature is compared with; 0: no classes
};

/// Parameters and nodes have timm's names. Sections: "patch_embed", "blocks.0", ..., "attn_pool" with attention pooling, and
/// "head" with classes.
std::shared_ptr<const Plan> vit_plan(const VitFacts& facts);
std::shared_ptr<const Plan> vit_plan_from(const std::string& facts);  ///< from Plan::facts

bool looks_like_vit(const TensorMap& tensors);

/// The network of `tensors`, which have timm's names: what their shapes and the config say, q, k and v joined, layer scale
/// folded, tables of positions computed. BadInput, naming `file` and the parameter or field, if they are not those of one ViT
/// or contradict each other.
Network read_vit(TensorMap tensors, const ModelConfig& config, const std::string& file);

}  // namespace eidolon
