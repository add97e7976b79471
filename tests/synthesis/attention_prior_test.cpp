#include "synthesis/attention_prior.h"

#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::small_architecture;
using testing::small_job;

/// Random rows as a softmax gives them: per block B x H x (1 + P).
std::vector<Tensor> random_rows(const AttentionPrior& prior) {
  at::manual_seed(23);
  std::vector<Tensor> rows;
  for (const Tensor& map : prior.maps) {
    rows.push_back(at::randn({map.size(0), map.size(1), map.size(2) + 1}, at::kDouble).softmax(-1));
  }
  return rows;
}

AttentionPrior drawn(const std::string& law, const Unit& unit = {0, 3}) {
  SynthesisJob job = small_job();
  job.prior_self_attention = law;
  return draw_attention_prior(job, small_architecture(), unit);
}

TEST(AttentionPrior, MapsAreSharesOfOne) {
  const AttentionPrior prior = drawn("current");
  for (const Tensor& map : prior.maps) {
    EXPECT_EQ(map.sizes(), at::IntArrayRef({3, 2, 16}));
    EXPECT_LT(largest_difference(map.sum(-1), at::ones({3, 2})), 1e-5);
    EXPECT_GE(map.min().item<double>(), 0.0);
  }
}

TEST(AttentionPrior, StartsAtTheMiddleBlockCountedFromOne) {
  for (const auto& [depth, first] : std::vector<std::pair<int64_t, int64_t>>{{12, 6}, {4, 2}, {5, 2}, {2, 1}, {1, 1}}) {
    Architecture architecture = small_architecture();
    architecture.depth = depth;
    const AttentionPrior prior = draw_attention_prior(small_job(), architecture, {0, 1});
    EXPECT_EQ(prior.first_block + 1, first) << depth;
    EXPECT_EQ(static_cast<int64_t>(prior.maps.size()), depth - first + 1) << depth;
  }
}

TEST(AttentionPrior, FollowsTheGlobalIndexWhateverTheUnit) {
  const AttentionPrior whole = drawn("uniform", {0, 8}), half = drawn("uniform", {4, 4});
  for (size_t block = 0; block < whole.maps.size(); ++block) {
    EXPECT_TRUE(at::equal(whole.maps[block].narrow(0, 4, 4), half.maps[block]));
    EXPECT_TRUE(at::equal(whole.self_attention[block].narrow(0, 4, 4), half.self_attention[block]));
  }
}

TEST(AttentionPrior, DiffersBetweenImagesHeadsAndBlocks) {
  const AttentionPrior prior = drawn("current");
  EXPECT_GT(largest_difference(prior.maps[0][0][0], prior.maps[0][1][0]), 1e-3);
  EXPECT_GT(largest_difference(prior.maps[0][0][0], prior.maps[0][0][1]), 1e-3);
  EXPECT_GT(largest_difference(prior.maps[0][0][0], prior.maps[1][0][0]), 1e-3);
}

TEST(AttentionPrior, OneComponentIsOneHumpThatFallsOffEvenly) {
  // log of a Gaussian is a quadratic: its second differences along a row of the grid are equal.
  SynthesisJob job = small_job();
  job.prior_components = 1;
  Architecture architecture = small_architecture();
  architecture.image_size = 32;  // 8 x 8 patches
  job.prior_sigma_scale = 4;
  const Tensor logs = draw_attention_prior(job, architecture, {0, 1}).maps[0][0][0].to(at::kDouble).log().reshape({8, 8});
  for (const Tensor& lines : {logs, logs.t()}) {
    const Tensor second = lines.narrow(1, 2, 6) - 2 * lines.narrow(1, 1, 6) + lines.narrow(1, 0, 6);
    EXPECT_LT(largest_difference(second, second[0][0].expand({8, 6})), 1e-4);
    EXPECT_LT(second.max().item<double>(), 0.0);
  }
}

TEST(AttentionPrior, StaysFiniteForGaussiansMuchNarrowerThanAPatch) {
  SynthesisJob job = small_job();
  job.prior_sigma_scale = 0.001;
  for (const Tensor& map : draw_attention_prior(job, small_architecture(), {0, 8}).maps) {
    EXPECT_TRUE(map.isfinite().all().item<bool>());
    EXPECT_LT(largest_difference(map.sum(-1), at::ones({8, 2})), 1e-5);
  }
}

TEST(PriorLoss, IsTheWeightedMeanSquareOfLoops) {
  for (const char* const law : {"current", "uniform"}) {
    const AttentionPrior prior = drawn(law);
    const std::vector<Tensor> rows = random_rows(prior);
    const Tensor loss = prior_loss(prior, rows, 4);
    for (int64_t image = 0; image < 3; ++image) {
      double expected = 0;
      for (size_t i = 0; i < rows.size(); ++i) {
        const double block = static_cast<double>(prior.first_block) + static_cast<double>(i) + 1.0;  // counted from 1
        for (int64_t head = 0; head < 2; ++head) {
          const Tensor row = rows[i][image][head];
          const double own =
              std::string(law) == "current" ? row[0].item<double>() : prior.self_attention[i][image][head].item<double>();
          double squares = 0;
          for (int64_t patch = 0; patch < 16; ++patch) {
            const double target = prior.maps[i][image][head][patch].item<double>() * (1 - own);
            squares += std::pow(row[1 + patch].item<double>() - target, 2);
          }
          expected += block / 4.0 * squares / 16.0;
        }
      }
      EXPECT_NEAR(loss[image].item<double>(), expected, 1e-6 * expected) << law;
    }
  }
}

TEST(PriorLoss, GradientMatchesDifferences) {
  const AttentionPrior prior = drawn("uniform");
  const std::vector<Tensor> rows = random_rows(prior);
  const auto loss = [&](const Tensor& x) { return prior_loss(prior, {rows[0], x, rows[2]}, 4).sum(); };
  testing::expect_gradient_matches_differences(loss, rows[1], 1e-2);
}

TEST(PriorLoss, DoesNotPullTheTargetThroughTheCurrentShare) {
  AttentionPrior current = drawn("current"), fixed = current;
  const std::vector<Tensor> rows = random_rows(current);
  for (const Tensor& row : rows) fixed.self_attention.push_back(row.select(-1, 0).to(at::kFloat));
  const auto gradient = [&](const AttentionPrior& prior) {
    return testing::gradient_of([&](const Tensor& x) { return prior_loss(prior, {x, rows[1], rows[2]}, 4).sum(); }, rows[0]);
  };
  EXPECT_TRUE(at::equal(gradient(current), gradient(fixed)));
  EXPECT_EQ(gradient(current).select(-1, 0).abs().max().item<double>(), 0.0);
}

TEST(PriorLoss, VanishesWhereTheRowsFollowTheirMaps) {
  const AttentionPrior prior = drawn("current");
  std::vector<Tensor> rows;
  for (const Tensor& map : prior.maps) rows.push_back(at::cat({at::full({3, 2, 1}, 0.3), map * 0.7}, -1));
  EXPECT_LT(prior_loss(prior, rows, 4).max().item<double>(), 1e-12);
  EXPECT_GT(prior_alignment(prior, rows).min().item<double>(), 0.1);
}

TEST(PriorAlignment, IsNothingForRowsThatKnowNoMap) {
  const AttentionPrior prior = drawn("current");
  std::vector<Tensor> rows;
  for (const Tensor& map : prior.maps) rows.push_back(at::full({3, 2, map.size(-1) + 1}, 1.0 / 17));
  EXPECT_LT(prior_alignment(prior, rows).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace eidolon
