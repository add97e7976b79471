#include "model/token_units.h"

#include <cmath>

#include "gtest/gtest.h"

namespace eidolon {
namespace {

TEST(TokenUnits, DivideATokensErrorByTheDeviationOfItsChannels) {
  at::manual_seed(4);
  const Tensor target = at::randn({2, 3, 5}, at::kDouble) * 7 + 2, error = at::randn({2, 3, 5}, at::kDouble);
  const Tensor relative = in_token_units(error, target, Layout::tokens);
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t t = 0; t < 3; ++t) {
      double sum = 0, squares = 0;
      for (int64_t c = 0; c < 5; ++c) {
        sum += target[b][t][c].item<double>();
        squares += std::pow(target[b][t][c].item<double>(), 2);
      }
      const double deviation = std::sqrt(squares / 5 - sum * sum / 25);
      for (int64_t c = 0; c < 5; ++c) {
        EXPECT_NEAR(relative[b][t][c].item<double>(), error[b][t][c].item<double>() / deviation, 1e-12);
      }
    }
  }
}

/// What makes them the right units: a LayerNorm behind sees the same however large a token is.
TEST(TokenUnits, OfALayerNormsReaderDoNotDependOnTheTokensSize) {
  at::manual_seed(5);
  const Tensor target = at::randn({1, 4, 16}, at::kDouble), error = at::randn({1, 4, 16}, at::kDouble);
  EXPECT_TRUE(
      at::allclose(in_token_units(50 * error, 50 * target, Layout::tokens), in_token_units(error, target, Layout::tokens)));
}

TEST(TokenUnits, LeaveLogitsAndMapsAndSurviveConstantTokens) {
  const Tensor logits = at::randn({3, 10});
  EXPECT_TRUE(at::equal(in_token_units(logits, 5 * logits, Layout::vector), logits));
  const Tensor maps = at::randn({3, 4, 2, 2});
  EXPECT_TRUE(at::equal(in_token_units(maps, 5 * maps, Layout::maps), maps));
  const Tensor constant = at::ones({1, 2, 4});
  EXPECT_TRUE(in_token_units(constant, constant, Layout::tokens).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace eidolon
