#include "synthesis/candidates.h"

#include "synthesis/start.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::small_job;
using testing::tiny_teacher;

SynthesisJob job_with(int64_t candidates, const std::string& filter) {
  SynthesisJob job = small_job();
  job.overgenerate = candidates;
  job.filter = filter;
  return job;
}

/// By the definition of softmax, in float64.
double score(const SynthesisTeacher& teacher, const std::string& filter, const Tensor& image) {
  const Tensor exponentials = forward(teacher.model, image.unsqueeze(0)).to(at::kDouble).exp();
  const double sum = exponentials.sum().item<double>();
  return filter == "energy" ? std::log(sum) : exponentials.max().item<double>() / sum;
}

TEST(Candidates, OneIsTheStart) {
  const SynthesisTeacher teacher = tiny_teacher();
  const Tensor start = start_pixels(small_job(), teacher.preprocessing, {4, 4});
  EXPECT_TRUE(at::equal(chosen_starts(teacher, job_with(1, "energy"), {4, 4}), start));
}

TEST(Candidates, AreStartsOfTheirOwn) {
  const SynthesisTeacher teacher = tiny_teacher();
  const Tensor first = start_pixels(small_job(), teacher.preprocessing, {0, 4}, 0);
  const Tensor second = start_pixels(small_job(), teacher.preprocessing, {0, 4}, 1);
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) EXPECT_GT(testing::largest_difference(first[i], second[j]), 0.1);
  }
}

TEST(Candidates, BestScoreOfEachImageIsKept) {
  const SynthesisTeacher teacher = tiny_teacher();
  for (const std::string filter : {"confidence", "energy"}) {
    const SynthesisJob job = job_with(5, filter);
    const Tensor chosen = chosen_starts(teacher, job, {4, 4});
    int64_t later = 0;
    for (int64_t i = 0; i < 4; ++i) {
      Tensor best;
      double best_score = -1e30;
      for (int64_t candidate = 0; candidate < 5; ++candidate) {
        const Tensor image = start_pixels(job, teacher.preprocessing, {4 + i, 1}, candidate)[0];
        if (score(teacher, filter, image) <= best_score) continue;
        best = image;
        best_score = score(teacher, filter, image);
        later += candidate > 0;
      }
      EXPECT_TRUE(at::equal(chosen[i], best)) << filter << i;
    }
    EXPECT_GT(later, 0);
  }
}

TEST(Candidates, OfAnImageAreTheSameInEveryUnit) {
  const SynthesisTeacher teacher = tiny_teacher();
  const SynthesisJob job = job_with(3, "energy");
  EXPECT_TRUE(at::equal(chosen_starts(teacher, job, {4, 4}), chosen_starts(teacher, job, {0, 8}).narrow(0, 4, 4)));
}

}  // namespace
}  // namespace eidolon
