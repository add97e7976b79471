#include "synthesis/terms/attention_prior.h"

#include <set>

#include "numerics/random.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;
constexpr uint64_t seed = 1;

/// Four attentions of two heads over 4 x 4 patches.
std::vector<Attention> small_attention(size_t depth = 4, int64_t grid = 4) {
  Attention attention;
  attention.heads = 2, attention.prefix_tokens = 1, attention.grid = grid;
  return std::vector<Attention>(depth, attention);
}

/// Random rows as a softmax gives them: per block B x H x (1 + P).
std::vector<Tensor> random_rows(const AttentionPrior& prior) {
  at::manual_seed(23);
  std::vector<Tensor> rows;
  for (const Tensor& map : prior.maps) {
    rows.push_back(at::randn({map.size(0), map.size(1), map.size(2) + 1}, at::kDouble).softmax(-1));
  }
  return rows;
}

AttentionPrior drawn(const Unit& unit = {0, 3}) {
  return draw_attention_prior(seed, small_attention(), unit);
}

TEST(AttentionPrior, MapsAreSharesOfOne) {
  const AttentionPrior prior = drawn();
  for (const Tensor& map : prior.maps) {
    EXPECT_EQ(map.sizes(), at::IntArrayRef({3, 2, 16}));
    EXPECT_LT(largest_difference(map.sum(-1), at::ones({3, 2})), 1e-5);
    EXPECT_GE(map.min().item<double>(), 0.0);
  }
}

TEST(AttentionPrior, StartsAtTheMiddleBlockCountedFromOne) {
  for (const auto& [depth, first] : std::vector<std::pair<int64_t, int64_t>>{{12, 6}, {4, 2}, {5, 2}, {2, 1}, {1, 1}}) {
    const AttentionPrior prior = draw_attention_prior(seed, small_attention(static_cast<size_t>(depth)), {0, 1});
    EXPECT_EQ(prior.first + 1, first) << depth;
    EXPECT_EQ(static_cast<int64_t>(prior.maps.size()), depth - first + 1) << depth;
  }
}

TEST(AttentionPrior, FollowsTheGlobalIndexWhateverTheUnit) {
  const AttentionPrior whole = drawn({0, 8}), half = drawn({4, 4});
  for (size_t block = 0; block < whole.maps.size(); ++block) {
    EXPECT_TRUE(at::equal(whole.maps[block].narrow(0, 4, 4), half.maps[block]));
  }
}

TEST(AttentionPrior, DiffersBetweenImagesHeadsAndBlocks) {
  const AttentionPrior prior = drawn();
  EXPECT_GT(largest_difference(prior.maps[0][0][0], prior.maps[0][1][0]), 1e-3);
  EXPECT_GT(largest_difference(prior.maps[0][0][0], prior.maps[0][0][1]), 1e-3);
  EXPECT_GT(largest_difference(prior.maps[0][0][0], prior.maps[1][0][0]), 1e-3);
}

TEST(AttentionPrior, MapsAreTheMaximumOfUpToFiveGaussians) {
  // Written out anew from the definition, in double precision.
  const AttentionPrior prior = draw_attention_prior(seed, small_attention(4, 8), {0, 16});
  std::set<int64_t> counts;
  for (int64_t image = 0; image < 16; ++image) {
    RandomStream random(seed, Purpose::prior, image, prior.first * 2 + 1);  // of the second head
    const int64_t count = 1 + random.below(5);
    counts.insert(count);
    std::vector<double> expected(64, 0.0);
    for (int64_t k = 0; k < count; ++k) {
      const double row = random.uniform(0, 8), column = random.uniform(0, 8);
      const double height = random.uniform(0.025, 0.125) * 8, width = random.uniform(0.025, 0.125) * 8;
      for (int64_t i = 0; i < 64; ++i) {
        const double y = (static_cast<double>(i / 8) + 0.5 - row) / height;
        const double x = (static_cast<double>(i % 8) + 0.5 - column) / width;
        expected[static_cast<size_t>(i)] = std::max(expected[static_cast<size_t>(i)], std::exp(-0.5 * (x * x + y * y)));
      }
    }
    Tensor map = at::tensor(expected, at::kDouble);
    map = map / map.sum();
    EXPECT_LT(largest_difference(prior.maps[0][image][1], map), 1e-6) << image;
  }
  EXPECT_GT(counts.size(), 3u);
}

TEST(PriorLoss, IsTheWeightedMeanSquareOfLoops) {
  const AttentionPrior prior = drawn();
  const std::vector<Tensor> rows = random_rows(prior);
  const Tensor loss = prior_loss(prior, rows);
  for (int64_t image = 0; image < 3; ++image) {
    double expected = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const double block = static_cast<double>(prior.first) + static_cast<double>(i) + 1.0;  // counted from 1
      for (int64_t head = 0; head < 2; ++head) {
        const Tensor row = rows[i][image][head];
        double squares = 0;
        for (int64_t patch = 0; patch < 16; ++patch) {
          const double target = prior.maps[i][image][head][patch].item<double>() * (1 - row[0].item<double>());
          squares += std::pow(row[1 + patch].item<double>() - target, 2);
        }
        expected += block / 4.0 * squares / 16.0;
      }
    }
    EXPECT_NEAR(loss[image].item<double>(), expected, 1e-6 * expected);
  }
}

/// What the class token keeps for itself is held fixed, so that differences see the function that autograd sees.
TEST(PriorLoss, GradientMatchesDifferencesOverThePatches) {
  const AttentionPrior prior = drawn();
  const std::vector<Tensor> rows = random_rows(prior);
  const auto loss = [&](const Tensor& x) {
    return prior_loss(prior, {rows[0], at::cat({rows[1].narrow(-1, 0, 1), x}, -1), rows[2]}).sum();
  };
  testing::expect_gradient_matches_differences(loss, rows[1].narrow(-1, 1, 16), 1e-2);
}

TEST(PriorLoss, DoesNotPullTheTargetThroughTheCurrentShare) {
  const AttentionPrior prior = drawn();
  const std::vector<Tensor> rows = random_rows(prior);
  const auto loss = [&](const Tensor& x) { return prior_loss(prior, {x, rows[1], rows[2]}).sum(); };
  const Tensor gradient = testing::gradient_of(loss, rows[0]);
  EXPECT_EQ(gradient.select(-1, 0).abs().max().item<double>(), 0.0);
  EXPECT_GT(gradient.abs().max().item<double>(), 0.0);
}

TEST(PriorLoss, VanishesWhereTheRowsFollowTheirMaps) {
  const AttentionPrior prior = drawn();
  std::vector<Tensor> rows;
  for (const Tensor& map : prior.maps) rows.push_back(at::cat({at::full({3, 2, 1}, 0.3), map * 0.7}, -1));
  EXPECT_LT(prior_loss(prior, rows).max().item<double>(), 1e-12);
  EXPECT_GT(prior_alignment(prior, rows).min().item<double>(), 0.1);
}

TEST(PriorAlignment, IsNothingForRowsThatKnowNoMap) {
  const AttentionPrior prior = drawn();
  std::vector<Tensor> rows;
  for (const Tensor& map : prior.maps) rows.push_back(at::full({3, 2, map.size(-1) + 1}, 1.0 / 17));
  EXPECT_LT(prior_alignment(prior, rows).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace eidolon
