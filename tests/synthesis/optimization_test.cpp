#include "synthesis/optimization.h"

#include <algorithm>

#include "synthesis/start.h"
#include "tests/device/test_device.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::small_job;
using testing::tiny_teacher;

double loss_of(const SynthesisTeacher& teacher, const UnitObjective& objective, const Tensor& pixels) {
  const at::NoGradGuard no_gradients;
  return weighted_sum(losses_of(objective, look(teacher, objective, pixels))).item<double>();
}

Tensor named(std::string_view name, const std::vector<TermLoss>& losses) {
  const auto found = std::ranges::find(losses, name, &TermLoss::name);
  return found == losses.end() ? Tensor() : found->value;
}

TEST(Optimization, LowersTheLoss) {
  const SynthesisTeacher teacher = tiny_teacher();
  const SynthesisJob job = small_job();
  const Unit unit{0, 4};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, unit));
  const double before = loss_of(teacher, objective, state.pixels);
  for (int i = 0; i < 20; ++i) optimise_once(teacher, job, objective, state);
  EXPECT_EQ(state.iteration, 20);
  EXPECT_LT(loss_of(teacher, objective, state.pixels), 0.8 * before);
}

TEST(Optimization, LowersEachTermThatOutweighsTheOthers) {
  const SynthesisTeacher teacher = tiny_teacher();
  SynthesisJob semantic_alone = small_job();
  semantic_alone.sardfq.crops = 0, semantic_alone.variation_weight = 0.0, semantic_alone.sardfq.prior_weight = 0.0;
  const auto lowers = [&](std::string_view term, const auto& choose) {
    SynthesisJob job = semantic_alone;
    choose(job);
    const UnitObjective objective = draw_objective(teacher, job, {0, 4});
    UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, {0, 4}));
    state.pixels.mul_(0.5);
    const auto value = [&] {
      const at::NoGradGuard no_gradients;
      return testing::loss_named(term, objective, look(teacher, objective, state.pixels)).sum().item<double>();
    };
    const double before = value();
    for (int i = 0; i < 20; ++i) optimise_once(teacher, job, objective, state);
    EXPECT_LT(value(), before - 0.001 * std::abs(before)) << term;
  };
  lowers("semantic", [](SynthesisJob&) {});
  lowers("crops", [](SynthesisJob& job) { job.sardfq.crops = 4; });
  lowers("prior", [](SynthesisJob& job) { job.sardfq.prior_weight = 1e5; });
  lowers("variation", [](SynthesisJob& job) { job.variation_weight = 100; });
  lowers("entropy", [](SynthesisJob& job) {
    job.method = "psaq";
    job.psaq.entropy_weight = 0;
    job.psaq.entropy_weight = 100;
  });
  lowers("entropy", [](SynthesisJob& job) {
    job.method = "psaq";
    job.psaq = {.entropy_weight = 100, .entropy_form = "gaussian", .head_similarity_weight = 0};
  });
  lowers("head_similarity", [](SynthesisJob& job) {
    job.method = "psaq";
    job.psaq.entropy_weight = 0;
    job.psaq.head_similarity_weight = 100;
  });
}

TEST(Optimization, ReturnsTheTermsBeforeTheStep) {
  const SynthesisTeacher teacher = tiny_teacher();
  const SynthesisJob job = small_job();
  const UnitObjective objective = draw_objective(teacher, job, {0, 4});
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, {0, 4}));
  const Tensor expected = testing::loss_named("semantic", objective, look(teacher, objective, state.pixels));
  EXPECT_LT(largest_difference(named("semantic", optimise_once(teacher, job, objective, state)), expected), 1e-6);
}

TEST(Optimization, LooksThroughTheViewsOfTheIteration) {
  const SynthesisTeacher teacher = tiny_teacher();
  SynthesisJob job = small_job("views");
  job.views = {.smallest_side = 0.5, .colour = 0.3};
  job.variation_weight = 0.1;
  const Unit unit{4, 4};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, unit));
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor pixels = state.pixels.clone();
    const Views views = draw_views(job, teacher.preprocessing, unit, i).to(test_device());
    const Seen through = look(teacher, objective, pixels, views), whole = look(teacher, objective, pixels);
    const auto loss = [&](std::string_view name, const Seen& seen) { return testing::loss_named(name, objective, seen); };
    EXPECT_GT(largest_difference(loss("semantic", whole), loss("semantic", through)), 1e-3) << i;
    EXPECT_EQ(largest_difference(loss("variation", whole), loss("variation", through)), 0)
        << "of the pixels, not of what is seen";
    const std::vector<TermLoss> losses = optimise_once(teacher, job, objective, state);
    EXPECT_LT(largest_difference(named("semantic", losses), loss("semantic", through)), 1e-5) << i;
  }
}

TEST(Optimization, LowersTheLossOfWholeImagesThroughViews) {
  const SynthesisTeacher teacher = tiny_teacher();
  SynthesisJob job = small_job("views");
  job.start = "gaussian", job.learning_rate = 0.2;
  const UnitObjective objective = draw_objective(teacher, job, {0, 4});
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, {0, 4}));
  const double before = loss_of(teacher, objective, state.pixels);
  for (int i = 0; i < 20; ++i) optimise_once(teacher, job, objective, state);
  EXPECT_LT(loss_of(teacher, objective, state.pixels), 0.8 * before);
}

TEST(Optimization, FirstStepIsAtMostTheRateAndStaysWithinValidPixels) {
  const SynthesisTeacher teacher = tiny_teacher();
  const SynthesisJob job = small_job();
  const UnitObjective objective = draw_objective(teacher, job, {0, 4});
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, {0, 4}));
  const Tensor before = state.pixels.clone();
  optimise_once(teacher, job, objective, state);
  const double rate = learning_rate_at(job, teacher.preprocessing, 0);
  EXPECT_NEAR(largest_difference(state.pixels, before), rate, 1e-4 * rate);
  EXPECT_LE(state.pixels.abs().max().item<double>(), 1.0);  // mean and deviation are 0.5
}

TEST(Optimization, StartsAdamAnewEachRound) {
  const SynthesisTeacher teacher = tiny_teacher();
  const SynthesisJob job = small_job();
  const UnitObjective objective = draw_objective(teacher, job, {0, 2});
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, {0, 2}));
  for (int64_t i = 0; i < 20; ++i) {
    optimise_once(teacher, job, objective, state);
    EXPECT_EQ(state.moments.step, i % 10 + 1);
  }
}

TEST(LearningRate, IsStatedForImageNetsNormalisation) {
  SynthesisJob job = small_job("psaq");
  job.iterations = 8;  // too few for a warm-up
  Preprocessing preprocessing;
  preprocessing.std = {0.226, 0.226, 0.226};
  EXPECT_DOUBLE_EQ(learning_rate_at(job, preprocessing, 0), job.learning_rate);
  preprocessing.std = {0.452, 0.452, 0.452};
  EXPECT_DOUBLE_EQ(learning_rate_at(job, preprocessing, 0), job.learning_rate / 2);
}

TEST(LearningRate, RepeatsItsScheduleEachRound) {
  const SynthesisJob job = small_job();
  const Preprocessing preprocessing = testing::small_preprocessing();
  const double peak = job.learning_rate * 0.226 / 0.25;
  EXPECT_NEAR(learning_rate_at(job, preprocessing, 0), peak / 2, 1e-12);  // two iterations of warm-up
  EXPECT_NEAR(learning_rate_at(job, preprocessing, 1), peak, 1e-12);
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_DOUBLE_EQ(learning_rate_at(job, preprocessing, 10 + i), learning_rate_at(job, preprocessing, i));
  }
}

TEST(LearningRate, LastRoundTakesTheRestAndWarmupIsAtMostAFifth) {
  SynthesisJob job = small_job();
  job.iterations = 23;
  const Preprocessing preprocessing = testing::small_preprocessing();
  const double peak = job.learning_rate * 0.226 / 0.25;
  EXPECT_NEAR(learning_rate_at(job, preprocessing, 1), peak, 1e-12);   // 11 / 5 = 2 iterations of warm-up
  EXPECT_NEAR(learning_rate_at(job, preprocessing, 12), peak, 1e-12);  // 12 / 5 = 2
  for (int64_t i = 0; i < 23; ++i) EXPECT_GT(learning_rate_at(job, preprocessing, i), 0.0) << i;
}

}  // namespace
}  // namespace eidolon
