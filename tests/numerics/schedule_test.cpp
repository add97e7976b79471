#include "numerics/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace eidolon {
namespace {

TEST(WarmupThenCosine, RisesLinearlyToThePeak) {
  EXPECT_DOUBLE_EQ(warmup_then_cosine(0, 100, 10), 0.1);
  EXPECT_DOUBLE_EQ(warmup_then_cosine(4, 100, 10), 0.5);
  EXPECT_DOUBLE_EQ(warmup_then_cosine(9, 100, 10), 1.0);
}

TEST(WarmupThenCosine, FallsFromThePeakThroughTheHalfTowardsZero) {
  EXPECT_DOUBLE_EQ(warmup_then_cosine(10, 110, 10), 1.0);
  EXPECT_NEAR(warmup_then_cosine(60, 110, 10), 0.5, 1e-12);
  const double last = std::pow(std::sin(M_PI / 200), 2);  // (1 + cos(pi 99/100)) / 2
  EXPECT_NEAR(warmup_then_cosine(109, 110, 10), last, 1e-12);
}

TEST(WarmupThenCosine, StartsAtThePeakWithoutWarmup) {
  EXPECT_DOUBLE_EQ(warmup_then_cosine(0, 50, 0), 1.0);
  EXPECT_DOUBLE_EQ(warmup_then_cosine(0, 1, 0), 1.0);
}

TEST(WarmupThenCosine, NeverRisesAfterTheWarmup) {
  for (int64_t step = 11; step < 100; ++step)
    EXPECT_LT(warmup_then_cosine(step, 100, 10), warmup_then_cosine(step - 1, 100, 10));
}

TEST(FallingToTheMiddle, HoldsForAQuarterThenFallsByOneRatioASectionAndEndsAtTheMiddle) {
  for (int section = 0; section <= 4; ++section) EXPECT_DOUBLE_EQ(falling_to_the_middle(section, 16, 4), 4);
  for (int section = 5; section <= 8; ++section) {
    const double ratio = falling_to_the_middle(section - 1, 16, 4) / falling_to_the_middle(section, 16, 4);
    EXPECT_NEAR(ratio, std::sqrt(2.0), 1e-12);  // four sections from 4 to 1
  }
  for (int section = 8; section < 16; ++section) EXPECT_DOUBLE_EQ(falling_to_the_middle(section, 16, 4), 1);
}

TEST(FallingToTheMiddle, KeepsOneRateForAllWhereTheFirstIsNoFaster) {
  for (int section = 0; section < 5; ++section) EXPECT_DOUBLE_EQ(falling_to_the_middle(section, 5, 1), 1);
}

}  // namespace
}  // namespace eidolon
