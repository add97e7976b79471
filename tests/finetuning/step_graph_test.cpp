#include "finetuning/step_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "finetuning/training.h"
#include "tests/device/test_device.h"
#include "tests/finetuning/setting.h"

namespace eidolon {
namespace {

using Work = std::function<void()>;

constexpr int64_t before_replays = 5;  // three plain steps, the recorded one and the one that is computed in both ways

/// A device whose replays carry out the work.
Replay faithful(const Work& work) {
  work();
  return work;
}

/// A device that cannot record.
Replay refusing(const Work& work) {
  work();
  throw std::runtime_error("operation not permitted\nwhile recording");
}

/// A device whose replays do nothing, so that the recording's numbers stay.
Replay idle(const Work& work) {
  work();
  return [] {};
}

/// A device on which the first replay fails.
Replay breaking(const Work&) {
  return [] { throw std::runtime_error("out of memory"); };
}

/// loss = factor x sum of (weight x row)^2, whose gradient is 2 factor weight sum of row^2; weight moves by a tenth of it.
struct Line {
  Tensor weight = at::tensor({1.0F, -2.0F, 0.5F}).to(test_device()).requires_grad_(true);
  double factor = 1;
  Tensor expected = at::tensor({1.0, -2.0, 0.5}, at::kDouble);  // of the weight

  Line() { weight.mutable_grad() = at::zeros({3}, weight.options().requires_grad(false)); }

  LossOf loss_of() {
    return [this](const std::vector<Tensor>& gathered) { return (weight * gathered[0]).square().sum() * factor; };
  }

  void expect_step(StepGraph& graph, int64_t step, int64_t rows = 2) {
    const Tensor x = (at::arange(rows * 3, at::kDouble).view({rows, 3}) - static_cast<double>(step % 5)) / 10;
    const double loss = factor * (expected * x).square().sum().item<double>();
    expected = expected - 0.1 * 2 * factor * expected * x.square().sum(0);
    weight.mutable_grad().zero_();
    const Tensor given = graph.loss_and_gradients(loss_of(), {x.to(at::kFloat).to(test_device())}, {weight});
    EXPECT_FALSE(given.requires_grad());
    const at::NoGradGuard no_gradients;
    weight.sub_(weight.grad(), 0.1);
    EXPECT_NEAR(given.item<double>(), loss, 1e-5 * loss) << "step " << step;
    EXPECT_TRUE(at::allclose(weight.detach().cpu().to(at::kDouble), expected, 1e-5, 1e-6)) << "step " << step;
  }

  void expect_steps(StepGraph& graph, int64_t steps) {
    for (int64_t step = 0; step < steps; ++step) expect_step(graph, step);
  }
};

std::string said_while(const Work& work) {
  testing::internal::CaptureStderr();
  work();
  return testing::internal::GetCapturedStderr();
}

int64_t count_of(const std::string& word, const std::string& text) {
  int64_t count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST(StepGraph, WithoutARecorderIsPlain) {
  Line line;
  StepGraph graph("phase", {});
  line.expect_steps(graph, 8);
  EXPECT_EQ(graph.replayed(), 0);
}

TEST(StepGraph, ReplaysOnOtherTensorsWithOtherWeights) {
  Line line;
  StepGraph graph("phase", faithful);
  EXPECT_EQ(said_while([&] { line.expect_steps(graph, 12); }), "");
  EXPECT_EQ(graph.replayed(), 12 - before_replays);
}

TEST(StepGraph, StaysPlainForTensorsOfOtherShapes) {
  Line line;
  StepGraph graph("phase", faithful);
  line.expect_steps(graph, 7);
  line.expect_step(graph, 7, /*rows=*/3);
  EXPECT_EQ(graph.replayed(), 7 - before_replays);
  line.expect_step(graph, 8);
  EXPECT_EQ(graph.replayed(), 8 - before_replays);
}

TEST(StepGraph, GivesTheLossOfEachStepAsATensorOfItsOwn) {
  const Tensor x = at::ones({1, 3}, test_device());
  Line line;
  StepGraph graph("phase", faithful);
  const auto loss = [&](double by) { return graph.loss_and_gradients(line.loss_of(), {x * by}, {line.weight}); };
  for (int64_t step = 0; step < before_replays; ++step) loss(1);
  const Tensor once = loss(1), twice = loss(2);
  EXPECT_EQ(graph.replayed(), 2);
  EXPECT_FLOAT_EQ(once.item<float>(), 5.25);
  EXPECT_FLOAT_EQ(twice.item<float>(), 21);
}

TEST(StepGraph, CountsAParameterThatTheLossDoesNotReachAsZero) {
  Line line;
  Tensor other = at::ones({2}, test_device()).requires_grad_(true);
  other.mutable_grad() = at::zeros({2}, test_device());
  StepGraph graph("phase", faithful);
  const Tensor x = at::ones({1, 3}, test_device());
  for (int64_t step = 0; step <= before_replays; ++step) {
    line.weight.mutable_grad().zero_();
    graph.loss_and_gradients(line.loss_of(), {x}, {other, line.weight});
  }
  EXPECT_EQ(graph.replayed(), 1);
  EXPECT_TRUE(at::equal(other.grad(), at::zeros({2}, test_device())));
  EXPECT_TRUE(at::equal(line.weight.grad(), 2 * line.weight.detach()));
}

/// Once, with the phase and the reason in one line; all steps are right.
void expect_fallback(const Recorder& recorder, const std::string& reason) {
  Line line;
  StepGraph graph("reconstruct/blocks.3", recorder);
  const std::string said = said_while([&] { line.expect_steps(graph, 12); });
  EXPECT_EQ(graph.replayed(), 0) << reason;
  EXPECT_EQ(count_of("reconstruct/blocks.3: ", said), 1) << said;
  EXPECT_EQ(count_of("\n", said), 1) << said;
  EXPECT_NE(said.find(reason), std::string::npos) << said;
}

TEST(StepGraph, FallsBackWhereTheDeviceCannotRecord) {
  expect_fallback(refusing, "operation not permitted?while recording");
}

TEST(StepGraph, FallsBackWhereAReplayFails) {
  expect_fallback(breaking, "out of memory");
}

TEST(StepGraph, FallsBackWhereAReplayGivesOtherNumbers) {
  expect_fallback(idle, "its loss differs from that of a plain step by");
}

TEST(StepGraph, FallsBackWhereOnlyAGradientIsOther) {
  Line line;
  StepGraph graph("phase", faithful);
  // The value is the same in each call, the gradient of one is twice as large.
  int64_t calls = 0;
  const LossOf loss_of = [&](const std::vector<Tensor>& gathered) {
    const Tensor loss = line.loss_of()(gathered);
    return ++calls == 6 ? loss + (loss - loss.detach()) : loss;  // the sixth is the replay
  };
  const Tensor x = at::ones({1, 3}, test_device());
  const std::string said = said_while([&] {
    for (int64_t step = 0; step < 8; ++step) graph.loss_and_gradients(loss_of, {x}, {line.weight});
  });
  EXPECT_EQ(graph.replayed(), 0);
  EXPECT_NE(said.find("a gradient differs from that of a plain step by 1 of"), std::string::npos) << said;
}

/// What a device records are kernels: a number of the host stays what it was. The step behind the recording sees that.
TEST(StepGraph, FallsBackWhereTheLossReadsANumberThatChanges) {
  Line line;
  StepGraph graph("phase", [&line](const Work& work) {
    work();
    return [&line, work, recorded = line.factor] {
      const double now = std::exchange(line.factor, recorded);
      work();
      line.factor = now;
    };
  });
  const std::string said = said_while([&] {
    for (int64_t step = 0; step < 12; ++step) {
      line.factor = 1 + static_cast<double>(step) / 10;
      line.expect_step(graph, step);
    }
  });
  EXPECT_EQ(graph.replayed(), 0);
  EXPECT_EQ(count_of("differs from that of a plain step", said), 1) << said;
}

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
    StepGraph graph(phase.name, recorder);
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

TEST(StepGraph, TrainsTheSameStudent) {
  expect_the_plain_student(faithful);
}

TEST(StepGraph, LeavesSharesOfABatchPlain) {
  Setting setting;
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  GradientReducer reducer(parameters_of(trainables), setting.communicator, Reduction::overlapped);
  StepGraph graph(phase.name, faithful);
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

struct StepGraphOnCuda : ::testing::Test {
  void SetUp() override {
    if (!test_device().is_cuda()) GTEST_SKIP() << "only CUDA records graphs: EIDOLON_TEST_DEVICE=cuda";
  }
};

TEST_F(StepGraphOnCuda, TrainsTheSameStudent) {
  expect_the_plain_student(graph_recorder(test_device()));
}

TEST_F(StepGraphOnCuda, ReplaysOnOtherTensorsWithOtherWeights) {
  Line line;
  StepGraph graph("phase", graph_recorder(test_device()));
  line.expect_steps(graph, 12);
  EXPECT_EQ(graph.replayed(), 12 - before_replays);
}

TEST_F(StepGraphOnCuda, SeesANumberOfTheHostThatWasRecorded) {
  Line line;
  StepGraph graph("phase", graph_recorder(test_device()));
  const std::string said = said_while([&] {
    for (int64_t step = 0; step < 12; ++step) {
      line.factor = 1 + static_cast<double>(step) / 10;
      line.expect_step(graph, step);
    }
  });
  EXPECT_EQ(graph.replayed(), 0);
  EXPECT_EQ(count_of("differs from that of a plain step", said), 1) << said;
}

/// The host may not wait for a device that records. Afterwards the device works, and records other work.
TEST_F(StepGraphOnCuda, FallsBackWhereTheLossIsReadAndCanRecordAgain) {
  Line line;
  StepGraph reading("phase", [&line](const Work& work) {
    return graph_recorder(test_device())([&line, &work] {
      work();
      line.weight.sum().item<float>();
    });
  });
  const std::string said = said_while([&] { line.expect_steps(reading, 12); });
  EXPECT_EQ(reading.replayed(), 0);
  EXPECT_EQ(count_of("phase: ", said), 1) << said;
  EXPECT_NE(said.find("captur"), std::string::npos) << said;
  Line other;
  StepGraph graph("phase", graph_recorder(test_device()));
  other.expect_steps(graph, 12);
  EXPECT_EQ(graph.replayed(), 12 - before_replays);
}

}  // namespace
}  // namespace eidolon
