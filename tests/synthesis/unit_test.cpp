#include "synthesis/unit.h"

#include <gtest/gtest.h>

#include <set>

namespace eidolon {
namespace {

SynthesisJob job_of(int64_t images, int64_t held_out, int64_t unit_images) {
  SynthesisJob job;
  job.images = images, job.held_out_images = held_out, job.unit_images = unit_images;
  return job;
}

TEST(Units, HoldTheTrainingAndTheHeldOutImagesInWholeUnits) {
  const std::vector<Unit> units = units_of(job_of(10, 3, 4));
  ASSERT_EQ(units.size(), 4u);  // [0, 12) for training and the rest, [12, 16) held out
  for (size_t i = 0; i < units.size(); ++i) {
    EXPECT_EQ(units[i].first, static_cast<int64_t>(4 * i));
    EXPECT_EQ(units[i].images, 4);
    EXPECT_EQ(units[i].last(), static_cast<int64_t>(4 * i + 3));
  }
  EXPECT_EQ(units_of(job_of(1, 0, 16)).size(), 1u);
}

TEST(Units, MoreImagesOnlyAddUnits) {
  const std::vector<Unit> few = units_of(job_of(32, 0, 16)), many = units_of(job_of(64, 0, 16));
  for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].first, many[i].first);
}

TEST(Units, EveryRankSeesAllOfThemFromItsShareOn) {
  const std::vector<Unit> units = units_of(job_of(80, 16, 16));
  for (const int ranks : {1, 2, 3, 7, 20}) {
    std::set<int64_t> starts;
    for (int rank = 0; rank < ranks; ++rank) {
      const std::vector<Unit> own = from_share_on(units, rank, ranks);
      std::set<int64_t> seen;
      for (const Unit& unit : own) seen.insert(unit.first);
      EXPECT_EQ(seen, (std::set<int64_t>{0, 16, 32, 48, 64, 80})) << ranks;
      starts.insert(own.front().first);
    }
    EXPECT_EQ(starts.size(), std::min<size_t>(units.size(), static_cast<size_t>(ranks))) << ranks;
  }
}

std::string optimised(double share, int64_t iterations = 1) {
  SynthesisJob job = job_of(32, 0, 4);
  job.optimised_share = share, job.iterations = iterations;
  std::string marks;
  for (const Unit& unit : units_of(job)) marks += is_optimised(job, unit) ? '+' : '.';
  return marks;
}

TEST(Units, AreOptimisedInTheirShareOfEveryPrefix) {
  EXPECT_EQ(optimised(0.5), ".+.+.+.+");
  EXPECT_EQ(optimised(0.25), "...+...+");
  EXPECT_EQ(optimised(0.75), ".+++.+++");
  EXPECT_EQ(optimised(1.0), "++++++++");
  EXPECT_EQ(optimised(0.0), "........");
  EXPECT_EQ(optimised(1.0, 0), "........");
}

TEST(Units, AreAllStartsWithoutIterationsOrAnyShareOrForTheNoiseBaseline) {
  const auto after = [](auto change) {
    SynthesisJob job;
    change(job);
    return images_are_starts(job);
  };
  EXPECT_FALSE(after([](SynthesisJob&) {}));  // what a newcomer gets: some units are optimised
  EXPECT_TRUE(after([](SynthesisJob& job) { job.iterations = 0; }));
  EXPECT_TRUE(after([](SynthesisJob& job) { job.optimised_share = 0; }));
  EXPECT_TRUE(after([](SynthesisJob& job) { job.method = "gaussian"; }));
}

TEST(Units, CostNothingWhereTheyAreNotOptimised) {
  SynthesisJob job = job_of(16, 0, 8);
  job.optimised_share = 0.5, job.iterations = 5;
  EXPECT_EQ(views_per_iteration(job, {0, 8}), 0);
  EXPECT_EQ(views_per_iteration(job, {8, 8}), 8);
}

TEST(Units, CostOneViewPerImageAndCrop) {
  SynthesisJob job = job_of(8, 0, 8);
  job.optimised_share = 1.0;
  job.crops = 4;
  EXPECT_EQ(views_per_iteration(job, {0, 8}), 8 + 2 * (1 + 2 + 3 + 4));
  job.crop_weight = 0.0;
  EXPECT_EQ(views_per_iteration(job, {0, 8}), 8);
  job.crop_weight = 1.0, job.crops = 0;
  EXPECT_EQ(views_per_iteration(job, {0, 8}), 8);
}

}  // namespace
}  // namespace eidolon
