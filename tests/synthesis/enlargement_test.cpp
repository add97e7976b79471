#include "synthesis/enlargement.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "synthesis/start.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::small_job;

const Preprocessing preprocessing{64, {0.5}, {0.25}, 1.0, "bicubic"};

SynthesisJob job_of(double enlargement) {
  SynthesisJob job = small_job();
  job.start = "leaves";
  job.enlargement = enlargement;
  return job;
}

/// Mean square of the differences of neighbours, over the variance: how much fine detail there is.
double detail(const Tensor& image) {
  return (image.diff(1, -1).square().mean() / image.var()).item<double>();
}

TEST(Enlargement, TakesDetailAndKeepsShapes) {
  const Unit unit{0, 24};
  const Tensor sharp = start_pixels(job_of(1), preprocessing, unit), soft = as_enlarged(job_of(6), unit, sharp);
  ASSERT_EQ(soft.sizes(), sharp.sizes());
  std::vector<double> left;
  for (int64_t i = 0; i < unit.images; ++i) {
    left.push_back(detail(soft[i]) / detail(sharp[i]));
    EXPECT_LE(left.back(), 1.05) << i;
    const Tensor before = at::adaptive_avg_pool2d(sharp[i], {8, 8}), after = at::adaptive_avg_pool2d(soft[i], {8, 8});
    EXPECT_LT((after - before).abs().mean().item<double>(), 0.25) << i;
  }
  // Factors differ from image to image.
  const auto [least, most] = std::ranges::minmax_element(left);
  EXPECT_LT(*least, 0.2);
  EXPECT_GT(*most, 2 * *least);
}

TEST(Enlargement, OfAPlainAreaIsThatArea) {
  const Tensor plain = at::full({4, 1, 64, 64}, 0.7);
  EXPECT_LT(testing::largest_difference(as_enlarged(job_of(8), {0, 4}, plain), plain), 1e-5);
}

TEST(Enlargement, IsAFunctionOfSeedAndGlobalIndexWhateverTheThreads) {
  const Tensor sharp = start_pixels(job_of(1), preprocessing, {0, 8});
  const Tensor whole = as_enlarged(job_of(4), {0, 8}, sharp);
  EXPECT_TRUE(at::equal(as_enlarged(job_of(4), {4, 4}, sharp.narrow(0, 4, 4)), whole.narrow(0, 4, 4)));
  const int threads = at::get_num_threads();
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(as_enlarged(job_of(4), {0, 8}, sharp), whole));
  at::set_num_threads(threads);
  SynthesisJob other = job_of(4);
  other.seed += 1;
  EXPECT_FALSE(at::equal(as_enlarged(other, {0, 8}, sharp), whole));
}

TEST(Enlargement, OfOneLeavesThePixelsAsTheyAre) {
  const Tensor sharp = start_pixels(job_of(1), preprocessing, {0, 2});
  EXPECT_TRUE(as_enlarged(job_of(1), {0, 2}, sharp).is_same(sharp));
}

}  // namespace
}  // namespace eidolon
