// A transformer cut into sections that can be run, calibrated and reconstructed one by one: embedding, every block, head.
#pragma once

#include <string>
#include <vector>

#include "model/vision_transformer.h"

namespace eidolon {

/// Sections of a model with L blocks: 0 is the patch embedding, 1..L the blocks, L+1 the head.
int section_count(const Architecture& architecture);
std::string section_name(const Architecture& architecture, int section);  ///< "patch_embed", "blocks.3", "head"

/// Images to tokens, tokens to tokens, or tokens to logits.
Tensor forward_section(const VisionTransformer& model, int section, const Tensor& input, const Tap& tap = {});

/// The weight nodes of a section, and all its nodes.
std::vector<NodeId> weights_of_section(const Architecture& architecture, int section);
std::vector<NodeId> nodes_of_section(const Architecture& architecture, int section);

/// "blocks.3.attn.qkv.weight" -> "blocks.3.attn.qkv.bias".
std::string bias_of(const std::string& weight);

}  // namespace eidolon
