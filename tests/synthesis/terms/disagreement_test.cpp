#include "synthesis/terms/disagreement.h"

#include "base/error.h"
#include "model/readout.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::expect_gradient_matches_differences;
using testing::gradient_of;
using testing::largest_difference;
using testing::loss_named;
using testing::small_job;
using testing::small_pixels;
using testing::small_teacher;

constexpr Unit unit{0, 4};

/// The teacher's weights, each off by this share, and queries that its Tap halves.
std::shared_ptr<const Opponent> opponent_of(const SynthesisTeacher& teacher, double off) {
  at::manual_seed(23);
  Network model = teacher.model.to(teacher.device(), at::kFloat).clone();
  for (auto& [name, parameter] : model.parameters) parameter = parameter * (1 + off * at::randn_like(parameter));
  const Tap tap = [plan = model.plan](NodeId node, const Tensor& tensor) {
    return !plan->is_weight(node) && plan->role(node) == Role::query ? tensor * 0.5 : tensor;
  };
  return std::make_shared<const Opponent>(Opponent{.model = model, .tap = tap});
}

SynthesisTeacher teacher_with_opponent(double off = 0.2) {
  SynthesisTeacher teacher = small_teacher(at::kFloat);
  teacher.opponent = opponent_of(teacher, off);
  return teacher;
}

SynthesisJob job_of(bool adaptive) {
  SynthesisJob job = small_job("psaq_v2");
  job.psaq.entropy_weight = 0;
  job.variation_weight = 0;
  job.psaq_v2.adaptive = adaptive;
  return job;
}

/// |P(x) - Q(x)| averaged over the classes, by both networks' own forward passes.
Tensor distances(const SynthesisTeacher& teacher, const Tensor& pixels) {
  const Tensor exact = forward(teacher.model, pixels), given = forward(teacher.opponent->model, pixels, teacher.opponent->tap);
  return (exact - given).abs().mean(1);
}

TEST(Disagreement, IsTheDistanceOfTheOutputsInUnitsOfThatOfTheStart) {
  const SynthesisTeacher teacher = teacher_with_opponent();
  const Tensor start = small_pixels(4).to(at::kFloat), pixels = small_pixels(4, 8).to(at::kFloat);
  const double reference = distances(teacher, start).mean().item<double>();
  const Tensor expected = distances(teacher, pixels);

  const UnitObjective adaptive = draw_objective(teacher, job_of(true), unit, start);
  const Seen seen = look(teacher, adaptive, pixels);
  EXPECT_LT(largest_difference(loss_named("disagreement", adaptive, seen), -at::log(1 + expected / reference)), 1e-5);
  const LossTable table = loss_table(adaptive, seen);
  EXPECT_EQ(table.names, (std::vector<std::string>{"disagreement", "distance"}));
  EXPECT_LT(largest_difference(table.values.select(1, 1), expected), 1e-6);

  const UnitObjective plain = draw_objective(teacher, job_of(false), unit, start);
  const Tensor scaled = pixels * 3;
  EXPECT_LT(largest_difference(loss_named("disagreement", plain, look(teacher, plain, scaled)),
                               -distances(teacher, scaled).clamp_max(1)),
            1e-5);
}

TEST(Disagreement, HasTheGradientOfItsDifferences) {
  const SynthesisTeacher teacher = teacher_with_opponent();
  const Tensor start = small_pixels(4).to(at::kFloat);
  for (const bool adaptive : {true, false}) {
    const UnitObjective objective = draw_objective(teacher, job_of(adaptive), unit, start);
    const auto loss = [&](const Tensor& x) {
      return weighted_sum(losses_of(objective, look(teacher, objective, x.to(at::kFloat)))).to(at::kDouble);
    };
    expect_gradient_matches_differences(loss, small_pixels(4, 8) * 0.1, 1e-2, 2e-2);
  }
}

TEST(Disagreement, PullsLessTheFartherTheNetworksAreApart) {
  const auto slope = [](double distance, bool adaptive) {
    const auto loss = [&](const Tensor& d) { return disagreement_loss(d, 0.1, adaptive).sum(); };
    return gradient_of(loss, at::full({1}, distance, at::kDouble)).item<double>();
  };
  EXPECT_NEAR(slope(0.0, true), -10, 1e-6);
  EXPECT_NEAR(slope(0.1, true), -5, 1e-6);
  EXPECT_NEAR(slope(0.9, true), -1, 1e-6);
  EXPECT_EQ(slope(0.5, false), -1);
  EXPECT_EQ(slope(1.5, false), 0);
  EXPECT_TRUE(disagreement_loss(at::zeros({2}), 0.0, true).isfinite().all().item<bool>());
}

TEST(Disagreement, IsNoTermWithoutAnOpponentAndNeedsNoClasses) {
  const SynthesisTeacher alone = small_teacher(at::kFloat);
  SynthesisJob job = job_of(true);
  job.psaq.entropy_weight = 1;
  const UnitObjective objective = draw_objective(alone, job, unit);
  ASSERT_EQ(objective.terms.size(), 1U);
  EXPECT_EQ(objective.terms.front().name, "entropy");
  EXPECT_EQ(objective.semantics.classes.max().item<int64_t>(), -1);
  EXPECT_THROW(draw_objective(teacher_with_opponent(), job, unit), Fault);
}

TEST(Disagreement, OfFeaturesCountsEachPartInUnitsOfTheTeachers) {
  at::manual_seed(3);
  Output output{.kind = Output::Kind::features, .size = 10, .parts = {}};
  output.parts.push_back({.name = "a", .section = 0, .steps = {}, .layout = Layout::vector, .shape = {4}});
  output.parts.push_back({.name = "b", .section = 1, .steps = {}, .layout = Layout::tokens, .shape = {3, 2}});
  const Tensor teacher = at::randn({5, 10}, at::kDouble), student = teacher + at::randn({5, 10}, at::kDouble) * 0.1;
  const auto part = [&](int64_t first, int64_t count) {
    const Tensor exact = teacher.narrow(1, first, count), given = student.narrow(1, first, count);
    return (exact - given).abs().sum(1) / exact.abs().sum(1);
  };
  const Tensor expected = (part(0, 4) + part(4, 6)) / 2;
  EXPECT_LT(largest_difference(mean_absolute_error(output, teacher, student), expected), 1e-12);
  Tensor scaled_teacher = teacher.clone(), scaled_student = student.clone();
  scaled_teacher.narrow(1, 0, 4).mul_(100);
  scaled_student.narrow(1, 0, 4).mul_(100);
  EXPECT_LT(largest_difference(mean_absolute_error(output, scaled_teacher, scaled_student), expected), 1e-12);
}

}  // namespace
}  // namespace eidolon
