// Units whose iterations are replayed (numerics/step_graph.h).
#include <algorithm>
#include <stdexcept>

#include "tests/numerics/recorders.h"
#include "tests/synthesis/recordable.h"

namespace eidolon {
namespace {

using testing::before_replays;
using testing::faithful;
using testing::idle;
using testing::objective_of;
using testing::Recordable;
using testing::recordables;
using testing::small_job;
using testing::small_teacher;
using testing::Work;

constexpr int64_t iterations = testing::recordable_iterations;

UnitState begun(const SynthesisTeacher& teacher, const UnitObjective& objective, const SynthesisJob& job) {
  return start_unit(teacher, start_pixels(job, teacher.preprocessing, objective.unit));
}

struct Made {
  UnitState state;
  std::vector<Tensor> losses;  ///< of each iteration, terms x images
  int64_t replayed = 0;
  std::vector<std::string> warnings;
};

/// A new graph and new memory begin behind every `stop_every` iterations, as in a unit that is left and adopted.
Made made(const Recordable& one, const Recorder& recorder, int64_t stop_every = iterations) {
  const UnitObjective objective = objective_of(one);
  Made result{.state = begun(one.teacher, objective, one.job), .losses = {}, .warnings = {}};
  while (result.state.iteration < iterations) {
    result.state.pixels = result.state.pixels.clone();
    const int64_t end = std::min(result.state.iteration + stop_every, iterations);
    StepGraph graph("unit", recorder, [&](const std::string& message) { result.warnings.push_back(message); });
    while (result.state.iteration < end) {
      std::vector<Tensor> values;
      for (const TermLoss& loss : optimise_once(one.teacher, one.job, objective, result.state, &graph)) {
        EXPECT_FALSE(loss.value.requires_grad()) << one.name;
        values.push_back(loss.value.to(at::kFloat));
      }
      result.losses.push_back(at::stack(values));
    }
    result.replayed += graph.replayed();
  }
  return result;
}

void expect_same_bits(const Made& given, const Made& expected, const std::string& name) {
  EXPECT_TRUE(at::equal(given.state.pixels, expected.state.pixels)) << name;
  EXPECT_TRUE(at::equal(given.state.moments.exp_avg, expected.state.moments.exp_avg)) << name;
  EXPECT_TRUE(at::equal(given.state.moments.exp_avg_sq, expected.state.moments.exp_avg_sq)) << name;
  EXPECT_TRUE(at::equal(at::stack(given.losses), at::stack(expected.losses))) << name;
}

void expect_the_plain_images(const Recorder& recorder) {
  for (const Recordable& one : recordables()) {
    const Made plain = made(one, {}), graph = made(one, recorder);
    EXPECT_GT(testing::largest_difference(plain.losses.front(), plain.losses.back()), 1e-3) << one.name;
    EXPECT_EQ(plain.replayed, 0) << one.name;
    EXPECT_EQ(graph.replayed, iterations - before_replays) << one.name;
    EXPECT_EQ(graph.warnings, std::vector<std::string>()) << one.name;
    expect_same_bits(graph, plain, one.name);
    const Made adopted = made(one, recorder, 7);
    EXPECT_EQ(adopted.replayed, 2 * (7 - before_replays)) << one.name;
    expect_same_bits(adopted, plain, one.name + ", adopted");
  }
}

TEST(RecordedUnit, HasTheBitsOfAPlainOne) {
  expect_the_plain_images(faithful);
}

TEST(RecordedUnit, KeepsItsBitsWhereAReplayGivesOtherNumbers) {
  const Recordable one = recordables().front();
  const Made graph = made(one, idle);
  EXPECT_EQ(graph.replayed, 0);
  ASSERT_EQ(graph.warnings.size(), 1U);
  EXPECT_NE(graph.warnings[0].find("its loss differs"), std::string::npos) << graph.warnings[0];
  expect_same_bits(graph, made(one, {}), one.name);
}

/// The graph of one unit reads and writes that unit's pixels.
TEST(RecordedUnit, LeavesPixelsThatLieElsewherePlain) {
  const Recordable one = recordables().front();
  const UnitObjective objective = objective_of(one);
  UnitState first = begun(one.teacher, objective, one.job), plain = begun(one.teacher, objective, one.job),
            other = begun(one.teacher, objective, one.job);
  StepGraph graph("unit", faithful, [](const std::string& message) { FAIL() << message; });
  for (int64_t i = 0; i < 8; ++i) optimise_once(one.teacher, one.job, objective, first, &graph);
  EXPECT_EQ(graph.replayed(), 8 - before_replays);
  for (int64_t i = 0; i < 3; ++i) {
    optimise_once(one.teacher, one.job, objective, other, &graph);
    optimise_once(one.teacher, one.job, objective, plain);
  }
  EXPECT_EQ(graph.replayed(), 8 - before_replays);
  EXPECT_TRUE(at::equal(other.pixels, plain.pixels));
}

TEST(RecordedUnit, IsNotTriedWhereTermsAddByIndex) {
  const auto forbidden = [](const Work&) -> Replay { throw std::logic_error("nothing shall be recorded"); };
  Recordable crops{"crops", small_teacher(at::kFloat), small_job("sardfq")};
  Recordable kernels{"kernel entropy", small_teacher(at::kFloat), small_job("psaq")};
  kernels.job.psaq.entropy_weight = 0.1;
  for (const Recordable& one : {crops, kernels}) {
    EXPECT_FALSE(objective_of(one).recordable) << one.name;
    const Made graph = made(one, forbidden);
    EXPECT_EQ(graph.replayed, 0) << one.name;
    EXPECT_EQ(graph.warnings, std::vector<std::string>()) << one.name;
  }
  kernels.job.psaq.entropy_form = "gaussian";
  crops.job.sardfq.crops = 0;
  for (const Recordable& one : {crops, kernels}) EXPECT_TRUE(objective_of(one).recordable) << one.name;
}

struct RecordedUnitOnCuda : ::testing::Test {
  void SetUp() override {
    if (!test_device().is_cuda()) GTEST_SKIP() << "only CUDA records graphs: EIDOLON_TEST_DEVICE=cuda";
  }
};

TEST_F(RecordedUnitOnCuda, HasTheBitsOfAPlainOne) {
  expect_the_plain_images(graph_recorder(test_device()));
}

}  // namespace
}  // namespace eidolon
