#include "numerics/checkpoint_interval.h"

#include <gtest/gtest.h>

#include <cmath>

namespace eidolon {
namespace {

/// Daly's exact model without restart cost: expected wall time per second of work, for checkpoints every `interval` seconds.
double expected_cost(double interval, double cost, double mean_time) {
  return mean_time * (std::exp((interval + cost) / mean_time) - 1) / interval;
}

TEST(CheckpointInterval, IsCloseToTheBestOfAllIntervals) {
  for (const double cost : {0.1, 1.0, 30.0}) {
    for (const double mean_time : {3600.0, 86400.0}) {
      const double chosen = checkpoint_interval(cost, mean_time);
      double best = expected_cost(chosen, cost, mean_time);
      for (double interval = 1; interval < mean_time; interval *= 1.01)
        best = std::min(best, expected_cost(interval, cost, mean_time));
      EXPECT_LT(expected_cost(chosen, cost, mean_time) / best, 1.001) << cost << " " << mean_time;
    }
  }
}

TEST(CheckpointInterval, IsNeverShorterThanTenSeconds) {
  EXPECT_EQ(checkpoint_interval(1e-6, 3600), 10);
}

TEST(CheckpointInterval, OfCheckpointsThatCostTooMuchIsTheTimeBetweenFailures) {
  EXPECT_EQ(checkpoint_interval(4000, 3600), 3600);
}

}  // namespace
}  // namespace eidolon
