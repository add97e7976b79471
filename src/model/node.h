// The nodes of a transformer: every tensor that a quantizer may stand on, and the one seam through which they are seen.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

enum class NodeKind {
  image,                   ///< B x C x S x S, normalised
  patch_embedding_weight,  ///< D x C x P x P
  qkv_input,               ///< B x N x D, after the block's first LayerNorm
  qkv_weight,              ///< 3D x D
  query,                   ///< B x H x N x D/H, before scaling by sqrt(H/D)
  key,
  value,
  probabilities,  ///< B x H x N x N, softmax over the last axis
  proj_input,     ///< B x N x D
  proj_weight,    ///< D x D
  fc1_input,      ///< B x N x D, after the block's second LayerNorm
  fc1_weight,     ///< M x D
  fc2_input,      ///< B x N x M, after GELU
  fc2_weight,     ///< D x M
  head_input,     ///< B x D, the class token after the last LayerNorm
  head_weight,    ///< classes x D
};

struct NodeId {
  int block = -1;  ///< -1 outside the blocks
  NodeKind kind = NodeKind::image;
  auto operator<=>(const NodeId&) const = default;
};

/// "image", "patch_embed.proj.weight", "blocks.3.attn.probs", "head.input", ...: stable, used in files.
std::string node_name(NodeId node);

bool is_weight(NodeKind kind);

/// The timm name of the parameter behind a weight node, "blocks.3.attn.qkv.weight".
std::string parameter_of(NodeId weight);

/// The node whose tensor is multiplied by a weight: blocks.3.attn.qkv.input for blocks.3.attn.qkv.weight. The patch embedding's
/// is the image, of which it takes the patches.
NodeId input_of(NodeId weight);

/// All nodes of a model with `depth` blocks, in the order of the forward pass.
std::vector<NodeId> all_nodes(int depth);
std::vector<NodeId> block_nodes(int block);

/// Called once per node of a forward pass with the node's tensor; what it returns takes the tensor's place. Synthesis reads
/// attention through it, calibration observes, the student quantizes. An empty Tap is the identity.
using Tap = std::function<Tensor(NodeId, const Tensor&)>;

}  // namespace eidolon
