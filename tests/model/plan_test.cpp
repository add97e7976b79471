#include "model/plan.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "model/families/vit.h"
#include "model/network.h"
#include "tests/storage/expect_error.h"

namespace eidolon {
namespace {

VitFacts small_facts(int64_t depth) {
  return {.image_size = 16, .patch_size = 4, .width = 12, .depth = depth, .heads = 3, .hidden_width = 20, .classes = 6};
}

TEST(Node, NamesAreUniqueAndStable) {
  const auto plan = vit_plan(small_facts(3));
  std::set<std::string> names;
  for (const Node& node : plan->nodes) names.insert(node.name);
  EXPECT_EQ(names.size(), 4u + 3u * 12u);
  for (const char* name : {"image", "patch_embed.proj.weight", "blocks.2.attn.probs", "blocks.0.attn.q",
                           "blocks.1.mlp.fc2.input", "head.input", "head.weight"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(Node, EveryWeightNamesAParameterAndEveryMatrixIsANode) {
  const auto plan = vit_plan(small_facts(2));
  auto shapes = plan->parameters;
  for (const NodeId node : plan->all_nodes()) {
    if (plan->is_weight(node)) {
      EXPECT_EQ(shapes.erase(plan->name(node)), 1u) << plan->name(node);
    }
  }
  for (const auto& [name, shape] : shapes) EXPECT_TRUE(shape.size() == 1 || name == "cls_token" || name == "pos_embed") << name;
}

TEST(Node, IsFoundByItsNameAndNoOtherIs) {
  const auto plan = vit_plan(small_facts(2));
  for (const NodeId node : plan->all_nodes()) EXPECT_EQ(plan->node(plan->name(node)), node) << plan->name(node);
  for (const char* name : {"", "blocks.2.attn.q", "blocks.-1.attn.q", "blocks.0.attn.qkv.bias", "norm.weight"}) {
    EXPECT_EQ(plan->find(name), std::nullopt);
    EXPECT_ERROR(Fault, "'" + std::string(name) + "' is not a node", plan->node(name));
  }
}

/// In the order of the forward pass, each weight in exactly one of them.
TEST(Product, EveryWeightHasOne) {
  const auto plan = vit_plan(small_facts(2));
  std::vector<NodeId> weights, of_products;
  for (const NodeId node : plan->all_nodes()) {
    if (plan->is_weight(node)) weights.push_back(node);
  }
  for (const Product& product : plan->products) of_products.push_back(product.weight);
  EXPECT_EQ(of_products, weights);
  for (const Product& product : plan->products) {
    const std::string& name = plan->name(product.weight);
    EXPECT_LT(product.input, product.weight) << name;
    EXPECT_EQ(plan->parameters.at(product.bias).at(0), plan->parameters.at(name).at(0)) << name;
    EXPECT_EQ(plan->product_reading(product.input), &product) << name;
    EXPECT_EQ(plan->product_reading(product.weight), nullptr) << name;
    EXPECT_EQ(product.convolution.has_value(), name == "patch_embed.proj.weight");
    EXPECT_FALSE(product.one_sided) << name;
    if (!product.norm.empty()) {
      EXPECT_EQ(plan->parameters.at(product.norm + ".weight").at(0), plan->parameters.at(name).at(1)) << name;
    }
  }
}

TEST(Product, KnowsTheNormInFrontAndWhetherItWritesToTheStream) {
  const auto plan = vit_plan(small_facts(2));
  std::map<std::string, std::string> norms;
  std::set<std::string> to_stream;
  for (const Product& product : plan->products) {
    if (!product.norm.empty()) norms[plan->name(product.weight)] = product.norm;
    if (product.to_stream) to_stream.insert(plan->name(product.weight));
  }
  EXPECT_EQ(norms, (std::map<std::string, std::string>{{"blocks.0.attn.qkv.weight", "blocks.0.norm1"},
                                                       {"blocks.0.mlp.fc1.weight", "blocks.0.norm2"},
                                                       {"blocks.1.attn.qkv.weight", "blocks.1.norm1"},
                                                       {"blocks.1.mlp.fc1.weight", "blocks.1.norm2"},
                                                       {"head.weight", "norm"}}));
  EXPECT_EQ(to_stream, (std::set<std::string>{"blocks.0.attn.proj.weight", "blocks.0.mlp.fc2.weight",
                                              "blocks.1.attn.proj.weight", "blocks.1.mlp.fc2.weight"}));
}

TEST(Section, HoldsItsNodesAndProductsAndAllTogetherHoldEach) {
  const auto plan = vit_plan(small_facts(2));
  std::vector<std::string> names;
  std::vector<NodeId> nodes, weights, of_products;
  for (int section = 0; section < plan->section_count(); ++section) {
    const std::string& name = plan->sections[static_cast<size_t>(section)].name;
    names.push_back(name);
    for (const NodeId node : plan->nodes_of(section)) {
      nodes.push_back(node);
      EXPECT_TRUE(plan->role(node) == Role::image || plan->name(node).starts_with(name + ".")) << plan->name(node);
    }
    for (const Product& product : plan->products_of(section)) of_products.push_back(product.weight);
  }
  for (const Product& product : plan->products) weights.push_back(product.weight);
  EXPECT_EQ(names, (std::vector<std::string>{"patch_embed", "blocks.0", "blocks.1", "head"}));
  EXPECT_EQ(nodes, plan->all_nodes());
  EXPECT_EQ(of_products, weights);
}

TEST(Section, OutputsHaveTheShapeThatItStates) {
  const at::NoGradGuard no_gradients;
  Network network{vit_plan(small_facts(2)), {}};
  for (const auto& [name, shape] : network.plan->parameters) network.parameters[name] = at::randn(shape);
  const std::vector<Tensor> outputs = forward_outputs(network, at::randn({3, 3, 16, 16}));
  ASSERT_EQ(outputs.size(), network.plan->sections.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Section& section = network.plan->sections[i];
    EXPECT_EQ(outputs[i].sizes().slice(1), at::IntArrayRef(section.shape)) << section.name;
    EXPECT_EQ(outputs[i].numel(), 3 * section.elements()) << section.name;
    EXPECT_EQ(section.output, i + 1 < outputs.size() ? Layout::tokens : Layout::vector) << section.name;
  }
  EXPECT_EQ(outputs.back().size(1), network.plan->output.size);
}

TEST(RowsOf, OfAConvolutionMultiplyToWhatConv2dGives) {
  at::manual_seed(3);
  const at::TensorOptions real(at::kDouble);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{12, 12}, {7, 10}}) {
    const Tensor maps = at::randn({2, 3, height, width}, real);
    for (const int64_t kernel : {1, 2, 3, 4, 6}) {
      for (const int64_t stride : {int64_t{1}, int64_t{2}, kernel}) {
        for (const int64_t padding : {int64_t{0}, int64_t{1}, kernel / 2}) {
          SCOPED_TRACE(std::to_string(kernel) + " " + std::to_string(stride) + " " + std::to_string(padding));
          Product product;
          product.convolution = Convolution{.kernel = kernel, .stride = stride, .padding = padding, .padding_after = padding};
          const Tensor weight = at::randn({5, 3, kernel, kernel}, real);
          const Tensor expected = at::conv2d(maps, weight, {}, stride, padding).flatten(2).transpose(1, 2);
          const Tensor ours = at::linear(rows_of(product, maps), weight.flatten(1));
          ASSERT_EQ(ours.sizes(), expected.sizes());
          EXPECT_LT((ours - expected).abs().max().item<double>(), 1e-12);
        }
      }
    }
  }
}

TEST(RowsOf, WithoutAConvolutionAreTheInput) {
  const Tensor tokens = at::randn({2, 5, 4});
  EXPECT_TRUE(rows_of({}, tokens).is_same(tokens));
}

}  // namespace
}  // namespace eidolon
