#include "synthesis/terms/head_similarity.h"

#include "tests/synthesis/references.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::reference;

/// Of the patches alone: the references have the class token first.
std::vector<Tensor> patch_blocks(const std::string& name) {
  std::vector<Tensor> blocks = testing::reference_blocks(name);
  for (Tensor& block : blocks) block = block.narrow(2, 1, block.size(2) - 1);
  return blocks;
}

TEST(HeadSimilarity, IsTheMeanOverPairsOfHeads) {
  const Tensor loss = head_similarity_loss(patch_blocks("heads.query"), patch_blocks("heads.key"));
  EXPECT_LT(largest_difference(loss, reference("heads.loss")), 1e-7);
}

TEST(HeadSimilarity, GradientMatchesDifferences) {
  const std::vector<Tensor> queries = patch_blocks("heads.query"), keys = patch_blocks("heads.key");
  testing::expect_gradient_matches_differences(
      [&](const Tensor& x) {
        return head_similarity_loss({x, queries[1]}, keys).sum();
      },
      queries[0], 1e-6, 1e-5);
  testing::expect_gradient_matches_differences(
      [&](const Tensor& x) {
        return head_similarity_loss(queries, {x, keys[1]}).sum();
      },
      keys[0], 1e-6, 1e-5);
}

TEST(HeadSimilarity, VanishesForHeadsThatAgree) {
  std::vector<Tensor> queries = patch_blocks("heads.query"), keys = patch_blocks("heads.key");
  for (auto* blocks : {&queries, &keys}) {
    for (Tensor& block : *blocks) block = block.narrow(1, 0, 1).expand({2, 3, 9, 4});
  }
  EXPECT_LT(head_similarity_loss(queries, keys).abs().max().item<double>(), 1e-9);
}

TEST(HeadSimilarity, OfAnImageDoesNotDependOnItsNeighbours) {
  const std::vector<Tensor> queries = patch_blocks("heads.query"), keys = patch_blocks("heads.key");
  const Tensor exchanged = head_similarity_loss(testing::swapped(queries), testing::swapped(keys));
  EXPECT_LT(largest_difference(exchanged.flip(0), head_similarity_loss(queries, keys)), 1e-12);
}

TEST(HeadSimilarity, IsFiniteForAttentionWithoutPreference) {
  const auto loss = [](const Tensor& x) { return head_similarity_loss({x}, {at::ones({1, 2, 5, 3})}).sum(); };
  EXPECT_TRUE(testing::gradient_of(loss, at::ones({1, 2, 5, 3})).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace eidolon
