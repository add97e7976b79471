// What tells the blocks of a vision transformer where a patch lies: positions, rotations and biases by distance.
#pragma once

#include <string>

#include "base/tensor.h"
#include "model/families/vit.h"
#include "model/loading/config.h"

namespace eidolon {

/// Settles the image size, and brings pos_embed to its grid of patches. Writes `positions` and `image_size` of the facts.
void settle_positions(TensorMap& tensors, const ModelConfig& config, const std::string& file, VitFacts& facts);

/// Computes the tables by which blocks rotate queries and keys, of the facts' image size.
void settle_rotation(TensorMap& tensors, const Rotation& rotation, const VitFacts& facts, const std::string& file);

/// Spreads every block's table of biases by distance over pairs of tokens.
void settle_attention_bias(TensorMap& tensors, const VitFacts& facts, const std::string& file);

}  // namespace eidolon
