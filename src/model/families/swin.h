// Swin transformers (Liu et al., 2021, arXiv 2103.14030): attention within shifted windows, stages of halving grids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/loading/config.h"
#include "model/network.h"

namespace eidolon {

struct SwinFacts {
  int64_t channels = 3;
  int64_t image_size = 224;
  int64_t patch_size = 4;
  int64_t embedding_width = 96;  ///< of the first stage; every further stage has twice the width of the one before
  std::vector<int64_t> depths{2, 2, 6, 2};
  std::vector<int64_t> heads{3, 6, 12, 24};
  std::vector<int64_t> windows{7, 7, 7, 7};  ///< sides, as the tables of relative positions have them
  int64_t width = 768, hidden_width = 3072;  ///< of the last stage
  int64_t classes = 1000;                    ///< 0: the network gives features
  double epsilon = 1e-5;
  std::string activation = "gelu";
  bool rolled_first = false;           ///< where the grid does not divide: rolled and then padded, as timm does it
  std::string covering = "shrinks";    ///< a window that covers the grid: shrinks | pads | pads and shifts
  std::vector<int64_t> stage_norms{};  ///< stages whose map has a norm of its own, "norm0"
  bool last_norm = true;               ///< "norm", in front of the pooling
  std::string output = "pooled";       ///< what features are given: pooled | tokens | both | stages
};

/// Parameters and nodes have timm's names. Sections: "patch_embed", "layers.0.blocks.0", ..., "layers.1.downsample", ..., and
/// "head" with classes.
std::shared_ptr<const Plan> swin_plan(const SwinFacts& facts);
std::shared_ptr<const Plan> swin_plan_from(const std::string& facts);  ///< from Plan::facts

bool looks_like_swin(const TensorMap& tensors);

/// The network of `tensors`, which have timm's names (model/loading/swin_names.h): biases of all pairs from the tables, masks
/// of shifted windows, a bias of zeros for the merging. BadInput, naming `file`, if they are not those of one Swin.
Network read_swin(TensorMap tensors, const ModelConfig& config, const std::string& file);

}  // namespace eidolon
