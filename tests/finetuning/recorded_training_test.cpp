// Training with a recorded step (numerics/step_graph.h), and the losses that are split for it.
#include <gtest/gtest.h>

#include <algorithm>

#include "cluster/log.h"
#include "finetuning/training.h"
#include "tests/device/test_device.h"
#include "tests/finetuning/setting.h"
#include "tests/numerics/recorders.h"

namespace eidolon {
namespace {

using testing::before_replays;
using testing::faithful;

struct Trained {
  TensorMap student;
  Tensor losses;
  int64_t replayed = 0;
};

/// A block, or with `distilled` all, trained on batches of 4 images. A new graph begins behind every `stop_every` steps, as
/// in a run that is stopped and resumed.
Trained trained(const Recorder& recorder, bool distilled, int64_t steps, int64_t stop_every) {
  Setting setting;
  setting.job.input_mix = 0.5;
  setting.job.importance = "gradient";
  setting.job.token_units = true;
  setting.job.scales.activation_learning_rate = setting.job.scales.weight_learning_rate = 1e-3;
  const std::vector<Phase> blocks = setting.phases();
  const Phase phase = distilled ? setting.distillation({.iterations = steps, .learning_rate = 0.02}) : blocks.at(1);
  if (!distilled) blocks[0].begin();
  std::vector<Trainable> trainables = phase.begin();
  Trained result;
  std::vector<Tensor> losses;
  for (int64_t first = 0; first < steps; first += stop_every) {
    GradientReducer reducer(parameters_of(trainables), setting.communicator, Reduction::overlapped);
    StepGraph graph(phase.name, recorder, log::warn);
    for (int64_t step = first; step < std::min(first + stop_every, steps); ++step) {
      std::vector<int64_t> images;
      for (int64_t i = 0; i < 4; ++i) images.push_back((5 * step + 3 * i) % 16);
      losses.push_back(train_step(phase, trainables, reducer, {.images = images, .batch = 4, .number = step}, &graph));
    }
    result.replayed += graph.replayed();
  }
  freeze(trainables);
  result.student = student_tensors(setting.student);
  result.losses = at::stack(losses);
  return result;
}

void expect_same_bits(const Trained& given, const Trained& expected) {
  EXPECT_TRUE(at::equal(given.losses, expected.losses));
  for (const auto& [name, tensor] : expected.student) EXPECT_TRUE(at::equal(given.student.at(name), tensor)) << name;
}

void expect_the_plain_student(const Recorder& recorder) {
  constexpr int64_t steps = 20;
  for (const bool distilled : {false, true}) {
    const Trained plain = trained({}, distilled, steps, steps), graph = trained(recorder, distilled, steps, steps);
    EXPECT_EQ(plain.replayed, 0);
    EXPECT_EQ(graph.replayed, steps - before_replays) << (distilled ? "distilled" : "reconstructed");
    expect_same_bits(graph, plain);
    const Trained resumed = trained(recorder, distilled, steps, 7);
    EXPECT_EQ(resumed.replayed, 2 + 2 + 1);
    expect_same_bits(resumed, graph);
  }
}

TEST(RecordedTraining, TrainsTheSameStudent) {
  expect_the_plain_student(faithful);
}

TEST(RecordedTraining, LeavesSharesOfABatchPlain) {
  Setting setting;
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  GradientReducer reducer(parameters_of(trainables), setting.communicator, Reduction::overlapped);
  StepGraph graph(phase.name, faithful, log::warn);
  for (int64_t step = 0; step < 8; ++step)
    train_step(phase, trainables, reducer, {.images = {0, 3}, .batch = 4, .number = step}, &graph);
  EXPECT_EQ(graph.replayed(), 0);
}

TEST(SplitLoss, IsTheLossOfItsStep) {
  Setting setting;
  setting.job.input_mix = 0.5;
  const std::vector<Phase> blocks = setting.phases();
  for (const Phase& phase : blocks) {
    std::vector<Trainable> trainables = phase.begin();
    const std::vector<Tensor> third = phase.split.value().gather({2, 5, 7}, 3), fourth = phase.split->gather({2, 5, 7}, 4);
    for (const Tensor& tensor : third) EXPECT_FALSE(tensor.requires_grad());
    EXPECT_TRUE(at::equal(phase.split->loss_of(third), phase.loss({2, 5, 7}, 3))) << phase.name;
    // The image, in front of the first section, is mixed with nothing.
    EXPECT_EQ(at::equal(third[0], fourth[0]), &phase == &blocks.front()) << phase.name;
    EXPECT_TRUE(at::equal(third[1], fourth[1])) << phase.name;
    freeze(trainables);
  }
}

TEST(SplitLoss, IsNotThereWhereAPenaltyChangesFromStepToStep) {
  Setting setting;
  setting.job.rounding = "adaround";
  for (const Phase& phase : setting.phases()) EXPECT_FALSE(phase.split) << phase.name;
}

struct RecordedTrainingOnCuda : ::testing::Test {
  void SetUp() override {
    if (!test_device().is_cuda()) GTEST_SKIP() << "only CUDA records graphs: EIDOLON_TEST_DEVICE=cuda";
  }
};

TEST_F(RecordedTrainingOnCuda, TrainsTheSameStudent) {
  expect_the_plain_student(graph_recorder(test_device()));
}

}  // namespace
}  // namespace eidolon
