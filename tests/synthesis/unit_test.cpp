#include "synthesis/unit.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace eidolon {
namespace {

SynthesisJob job_of(int64_t images, int64_t held_out, int64_t unit_images) {
  SynthesisJob job;
  job.images = images, job.held_out_images = held_out, job.unit_images = unit_images;
  return job;
}

/// "0 1 2 | 4 5": numbers of the training and of the held-out units.
std::string numbers(const SynthesisJob& job) {
  std::ostringstream text;
  for (const Unit& unit : training_units(job)) text << unit.first / job.unit_images << " ";
  text << "|";
  for (const Unit& unit : held_out_units(job)) text << " " << unit.first / job.unit_images;
  return text.str();
}

TEST(Units, HoldTheTrainingAndTheHeldOutImagesInWholeUnits) {
  SynthesisJob job = job_of(10, 3, 4);
  job.optimised_share = 0;
  EXPECT_EQ(numbers(job), "0 1 2 | 3");
  const std::vector<Unit> units = units_of(job);
  ASSERT_EQ(units.size(), 4u);
  for (size_t i = 0; i < units.size(); ++i) {
    EXPECT_EQ(units[i].first, static_cast<int64_t>(4 * i));
    EXPECT_EQ(units[i].images, 4);
    EXPECT_EQ(units[i].last(), static_cast<int64_t>(4 * i + 3));
  }
  EXPECT_EQ(held_out_images(job), (std::vector<int64_t>{12, 13, 14, 15})) << "10 and 11 are neither trained on nor held out";
  EXPECT_EQ(units_of(job_of(1, 0, 16)).size(), 1u);
}

/// Optimised and other units among the held-out ones.
std::pair<int64_t, int64_t> held_out_kinds(const SynthesisJob& job) {
  int64_t optimised = 0, others = 0;
  for (const Unit& unit : held_out_units(job)) ++(is_optimised(job, unit) ? optimised : others);
  return {optimised, others};
}

TEST(Units, HeldOutHaveTheMixtureOfTrainingWhateverTheNumberOfImages) {
  for (const int64_t images : {64, 128, 240, 256, 250, 512}) {  // the first unit behind them is of either kind
    EXPECT_EQ(held_out_kinds(job_of(images, 32, 16)), std::pair(int64_t{1}, int64_t{1})) << images;
    EXPECT_EQ(held_out_kinds(job_of(images, 16, 16)), std::pair(int64_t{1}, int64_t{1}))
        << images << ", one unit is not enough";
    EXPECT_EQ(held_out_kinds(job_of(images, 64, 16)), std::pair(int64_t{2}, int64_t{2})) << images;
  }
  SynthesisJob job = job_of(256, 64, 16);
  job.optimised_share = 0.25;
  EXPECT_EQ(held_out_kinds(job), std::pair(int64_t{1}, int64_t{3}));
  job.optimised_share = 0.75;
  EXPECT_EQ(held_out_kinds(job), std::pair(int64_t{3}, int64_t{1}));
  job.optimised_share = 1.0;
  EXPECT_EQ(held_out_kinds(job), std::pair(int64_t{4}, int64_t{0}));
  job.method = "given";
  EXPECT_EQ(numbers(job), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 | 16 17 18 19");
  job.held_out_images = 0;
  EXPECT_TRUE(held_out_images(job).empty());
}

TEST(Units, HeldOutFollowWhatTrainingReallyHas) {
  EXPECT_EQ(held_out_kinds(job_of(16, 32, 16)), std::pair(int64_t{0}, int64_t{2})) << "one unit, which stays as it starts";
  SynthesisJob job = job_of(64, 16, 16);
  job.optimised_share = 0.9;  // . + + + | behind them the next start is unit 10
  EXPECT_EQ(numbers(job), "0 1 2 3 | 4 10");
  job.optimised_share = 1.0 - 1e-9;  // too rare to be looked for
  EXPECT_EQ(numbers(job), "0 1 2 3 | 4");
}

TEST(Units, SayOfWhichKindsTheyAre) {
  SynthesisJob job = job_of(256, 32, 16);
  EXPECT_EQ(kinds_of(job, held_out_units(job)), "16 optimised, 16 as they start (leaves, scenes, textures)");
  job.start = "leaves, scenes";
  EXPECT_EQ(kinds_of(job, training_units(job)), "128 optimised, 128 as they start (leaves, scenes)");
  job.optimised_share = 0;
  EXPECT_EQ(kinds_of(job, held_out_units(job)), "32 as they start (leaves, scenes)");
  job.method = "given";
  EXPECT_EQ(kinds_of(job, held_out_units(job)), "32 given");
}

TEST(Units, MoreImagesOnlyAddUnits) {
  const std::vector<Unit> few = units_of(job_of(32, 0, 16)), many = units_of(job_of(64, 0, 16));
  for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].first, many[i].first);
}

TEST(Units, EveryRankSeesAllOfThemFromItsShareOn) {
  const std::vector<Unit> units = units_of(job_of(96, 0, 16));
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
  job.optimised_share = 1.0, job.method = "sardfq";
  EXPECT_EQ(views_per_iteration(job, {0, 8}), 8 + 2 * (1 + 2 + 3 + 4));
  job.sardfq.crops = 0;
  EXPECT_EQ(views_per_iteration(job, {0, 8}), 8);
}

}  // namespace
}  // namespace eidolon
