#include "synthesis/start.h"

#include "job/schema.h"
#include "numerics/random.h"
#include "procedural/procedural_image.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::small_job;
using testing::small_preprocessing;

SynthesisJob job_from(const std::string& start) {
  SynthesisJob job = small_job();
  job.start = start;
  return job;
}

/// All that the key `synthesis.start` accepts.
std::vector<std::string> kinds_of_start() {
  std::vector<std::string> kinds;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (full_name(key) == "synthesis.start") kinds.assign(key.allowed.choices.begin(), key.allowed.choices.end());
  });
  return kinds;
}

TEST(Start, KeyNamesTheNoiseAndEveryFamily) {
  std::vector<std::string> expected{"gaussian"};
  for (const std::string_view family : procedural_families()) expected.emplace_back(family);
  EXPECT_EQ(kinds_of_start(), expected);
}

TEST(StartPixels, AreValidAndFollowTheGlobalIndex) {
  const Preprocessing preprocessing = small_preprocessing();
  for (const std::string& kind : kinds_of_start()) {
    const Tensor whole = start_pixels(job_from(kind), preprocessing, {0, 8});
    ASSERT_EQ(whole.sizes(), at::IntArrayRef({8, 3, 16, 16})) << kind;
    EXPECT_TRUE(at::equal(start_pixels(job_from(kind), preprocessing, {4, 4}), whole.narrow(0, 4, 4))) << kind;
    const Tensor unit = whole * preprocessing.std_tensor() + preprocessing.mean_tensor();
    EXPECT_GT(unit.min().item<double>(), -1e-6) << kind;
    EXPECT_LT(unit.max().item<double>(), 1 + 1e-6) << kind;
    EXPECT_GT(unit.std().item<double>(), 0.1) << kind;
  }
}

TEST(StartPixels, OfGaussianAreStandardNormalBetweenTheLimits) {
  const Preprocessing wide{64, {0.5}, {0.05}, 1.0, "bicubic"};  // limits at ten deviations
  const Tensor pixels = start_pixels(small_job(), wide, {0, 8});
  EXPECT_NEAR(pixels.mean().item<double>(), 0.0, 0.03);
  EXPECT_NEAR(pixels.std().item<double>(), 1.0, 0.03);
}

TEST(StartPixels, OfAFamilyAreItsNormalisedImages) {
  const Preprocessing preprocessing = small_preprocessing();
  const SynthesisJob job = job_from("leaves");
  RandomStream random(job.seed, Purpose::procedural_start, 5);
  const Tensor image = procedural_image("leaves", random, 3, 16);
  const Tensor pixels = start_pixels(job, preprocessing, {5, 1})[0];
  for (int64_t c = 0; c < 3; ++c) {
    const auto channel = static_cast<size_t>(c);
    EXPECT_LT(largest_difference(pixels[c] * preprocessing.std[channel] + preprocessing.mean[channel], image[c]), 1e-6);
  }
}

TEST(StartPixels, OfAMixtureTakeTurnsByGlobalIndex) {
  const Preprocessing preprocessing = small_preprocessing();
  const Tensor mixed = start_pixels(job_from("leaves:2, gaussian:1"), preprocessing, {0, 9});
  const Tensor leaves = start_pixels(job_from("leaves"), preprocessing, {0, 9});
  const Tensor noise = start_pixels(job_from("gaussian"), preprocessing, {0, 9});
  for (int64_t i = 0; i < 9; ++i) EXPECT_TRUE(at::equal(mixed[i], i % 3 == 2 ? noise[i] : leaves[i])) << i;
  EXPECT_TRUE(at::equal(start_pixels(job_from("leaves:2, gaussian:1"), preprocessing, {4, 3}), mixed.narrow(0, 4, 3)));
}

TEST(StartPixels, DifferWithTheSeed) {
  SynthesisJob other = job_from("pink");
  other.seed = 2;
  EXPECT_GT(largest_difference(start_pixels(other, small_preprocessing(), {0, 1}),
                               start_pixels(job_from("pink"), small_preprocessing(), {0, 1})),
            0.1);
}

}  // namespace
}  // namespace eidolon
