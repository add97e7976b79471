#include "synthesis/head_similarity.h"

#include "tests/synthesis/references.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::reference;
using testing::reference_blocks;

TEST(HeadSimilarity, IsTheMeanOverPairsOfHeads) {
  const Tensor loss = head_similarity_loss(reference_blocks("heads.query"), reference_blocks("heads.key"));
  EXPECT_LT(largest_difference(loss, reference("heads.loss")), 1e-7);
}

TEST(HeadSimilarity, GradientMatchesDifferences) {
  const std::vector<Tensor> queries = reference_blocks("heads.query"), keys = reference_blocks("heads.key");
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
  std::vector<Tensor> queries = reference_blocks("heads.query"), keys = reference_blocks("heads.key");
  for (auto* blocks : {&queries, &keys}) {
    for (Tensor& block : *blocks) block = block.narrow(1, 0, 1).expand({2, 3, 10, 4});
  }
  EXPECT_LT(head_similarity_loss(queries, keys).abs().max().item<double>(), 1e-9);
}

TEST(HeadSimilarity, OfAnImageDoesNotDependOnItsNeighbours) {
  const std::vector<Tensor> queries = reference_blocks("heads.query"), keys = reference_blocks("heads.key");
  const Tensor exchanged = head_similarity_loss(testing::swapped(queries), testing::swapped(keys));
  EXPECT_LT(largest_difference(exchanged.flip(0), head_similarity_loss(queries, keys)), 1e-12);
}

TEST(HeadSimilarity, IsFiniteForAttentionWithoutPreference) {
  const auto loss = [](const Tensor& x) { return head_similarity_loss({x}, {at::ones({1, 2, 5, 3})}).sum(); };
  EXPECT_TRUE(testing::gradient_of(loss, at::ones({1, 2, 5, 3})).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace eidolon
