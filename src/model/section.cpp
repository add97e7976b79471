#include "model/section.h"

namespace eidolon {

int section_count(const Architecture& architecture) {
  return static_cast<int>(architecture.depth) + 2;
}

std::string section_name(const Architecture& architecture, int section) {
  if (section == 0) return "patch_embed";
  if (section == section_count(architecture) - 1) return "head";
  return "blocks." + std::to_string(section - 1);
}

Tensor forward_section(const VisionTransformer& model, int section, const Tensor& input, const Tap& tap) {
  if (section == 0) return embed(model, input, tap);
  if (section == section_count(model.architecture) - 1) return classify(model, input, tap);
  return forward_block(model, section - 1, input, tap);
}

std::vector<NodeId> nodes_of_section(const Architecture& architecture, int section) {
  if (section == 0) return {{-1, NodeKind::image}, {-1, NodeKind::patch_embedding_weight}};
  if (section == section_count(architecture) - 1) return {{-1, NodeKind::head_input}, {-1, NodeKind::head_weight}};
  return block_nodes(section - 1);
}

std::vector<NodeId> weights_of_section(const Architecture& architecture, int section) {
  std::vector<NodeId> weights;
  for (const NodeId node : nodes_of_section(architecture, section)) {
    if (is_weight(node.kind)) weights.push_back(node);
  }
  return weights;
}

std::string bias_of(const std::string& weight) {
  return weight.substr(0, weight.rfind('.')) + ".bias";
}

}  // namespace eidolon
