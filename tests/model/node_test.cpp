#include "model/node.h"

#include <gtest/gtest.h>

#include <set>

#include "model/architecture.h"

namespace eidolon {
namespace {

TEST(Node, NamesAreUniqueAndStable) {
  std::set<std::string> names;
  for (const NodeId node : all_nodes(3)) names.insert(node_name(node));
  EXPECT_EQ(names.size(), 4u + 3u * 12u);
  for (const char* name : {"image", "patch_embed.proj.weight", "blocks.2.attn.probs", "blocks.0.attn.q",
                           "blocks.1.mlp.fc2.input", "head.input", "head.weight"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(Node, EveryWeightNamesAParameterAndEveryMatrixIsANode) {
  Architecture architecture;
  architecture.depth = 2;
  auto shapes = parameter_shapes(architecture);
  for (const NodeId node : all_nodes(2)) {
    if (is_weight(node.kind)) {
      EXPECT_EQ(shapes.erase(parameter_of(node)), 1u) << node_name(node);
    }
  }
  for (const auto& [name, shape] : shapes) EXPECT_TRUE(shape.size() == 1 || name == "cls_token" || name == "pos_embed") << name;
}

}  // namespace
}  // namespace eidolon
