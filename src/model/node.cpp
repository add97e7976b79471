#include "model/node.h"

#include <array>

#include "base/error.h"

namespace eidolon {
namespace {

struct KindName {
  NodeKind kind;
  const char* name;  ///< behind "blocks.N." inside blocks
};

constexpr std::array<KindName, 12> block_kinds{{{NodeKind::qkv_input, "attn.qkv.input"},
                                                {NodeKind::qkv_weight, "attn.qkv.weight"},
                                                {NodeKind::query, "attn.q"},
                                                {NodeKind::key, "attn.k"},
                                                {NodeKind::value, "attn.v"},
                                                {NodeKind::probabilities, "attn.probs"},
                                                {NodeKind::proj_input, "attn.proj.input"},
                                                {NodeKind::proj_weight, "attn.proj.weight"},
                                                {NodeKind::fc1_input, "mlp.fc1.input"},
                                                {NodeKind::fc1_weight, "mlp.fc1.weight"},
                                                {NodeKind::fc2_input, "mlp.fc2.input"},
                                                {NodeKind::fc2_weight, "mlp.fc2.weight"}}};

constexpr std::array<KindName, 4> outer_kinds{{{NodeKind::image, "image"},
                                               {NodeKind::patch_embedding_weight, "patch_embed.proj.weight"},
                                               {NodeKind::head_input, "head.input"},
                                               {NodeKind::head_weight, "head.weight"}}};

}  // namespace

std::string node_name(NodeId node) {
  for (const auto& [kind, name] : outer_kinds) {
    if (kind == node.kind) return name;
  }
  for (const auto& [kind, name] : block_kinds) {
    if (kind == node.kind) return "blocks." + std::to_string(node.block) + "." + name;
  }
  return "unknown";
}

bool is_weight(NodeKind kind) {
  switch (kind) {
    case NodeKind::patch_embedding_weight:
    case NodeKind::qkv_weight:
    case NodeKind::proj_weight:
    case NodeKind::fc1_weight:
    case NodeKind::fc2_weight:
    case NodeKind::head_weight:
      return true;
    default:
      return false;
  }
}

std::string parameter_of(NodeId weight) {
  return node_name(weight);
}

NodeId input_of(NodeId weight) {
  switch (weight.kind) {
    case NodeKind::patch_embedding_weight:
      return {weight.block, NodeKind::image};
    case NodeKind::qkv_weight:
      return {weight.block, NodeKind::qkv_input};
    case NodeKind::proj_weight:
      return {weight.block, NodeKind::proj_input};
    case NodeKind::fc1_weight:
      return {weight.block, NodeKind::fc1_input};
    case NodeKind::fc2_weight:
      return {weight.block, NodeKind::fc2_input};
    case NodeKind::head_weight:
      return {weight.block, NodeKind::head_input};
    default:
      throw Fault("'" + node_name(weight) + "' is not a weight and multiplies nothing");
  }
}

std::vector<NodeId> block_nodes(int block) {
  std::vector<NodeId> nodes;
  for (const auto& entry : block_kinds) nodes.push_back({block, entry.kind});
  return nodes;
}

std::vector<NodeId> all_nodes(int depth) {
  std::vector<NodeId> nodes{{-1, NodeKind::image}, {-1, NodeKind::patch_embedding_weight}};
  for (int block = 0; block < depth; ++block) {
    for (const NodeId node : block_nodes(block)) nodes.push_back(node);
  }
  nodes.push_back({-1, NodeKind::head_input});
  nodes.push_back({-1, NodeKind::head_weight});
  return nodes;
}

}  // namespace eidolon
