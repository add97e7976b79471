#include "numerics/step_graph.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/device/test_device.h"
#include "tests/numerics/recorders.h"

namespace eidolon {
namespace {

using testing::before_replays;
using testing::breaking;
using testing::faithful;
using testing::idle;
using testing::refusing;
using testing::Work;

/// loss = factor x sum of (weight x row)^2, whose gradient is 2 factor weight sum of row^2; weight moves by a tenth of it. The
/// second output is what each row adds.
struct Line {
  Tensor weight = at::tensor({1.0F, -2.0F, 0.5F}).to(test_device()).requires_grad_(true);
  double factor = 1;
  Tensor expected = at::tensor({1.0, -2.0, 0.5}, at::kDouble);  // of the weight
  std::vector<std::string> warnings;

  StepGraph graph(Recorder recorder) {
    return StepGraph("line", std::move(recorder), [this](const std::string& message) { warnings.push_back(message); });
  }

  OutputsOf outputs_of() {
    return [this, trained = weight](const std::vector<Tensor>& gathered) {
      const Tensor rows = (trained * gathered[0]).square().sum(1);
      return std::vector<Tensor>{rows.sum() * factor, rows};
    };
  }

  StepResults step(StepGraph& graph, const OutputsOf& outputs_of, const Tensor& x) const {
    const auto replayed = graph.replay(outputs_of, {x}, {weight});
    return replayed ? *replayed : results_of(outputs_of, {x}, {weight});
  }

  void expect_step(StepGraph& graph, int64_t step, int64_t rows = 2) {
    const Tensor x = (at::arange(rows * 3, at::kDouble).view({rows, 3}) - static_cast<double>(step % 5)) / 10;
    const Tensor of_rows = (expected * x).square().sum(1);
    const double loss = factor * of_rows.sum().item<double>();
    expected = expected - 0.1 * 2 * factor * expected * x.square().sum(0);
    const StepResults given = this->step(graph, outputs_of(), x.to(at::kFloat).to(test_device()));
    ASSERT_EQ(given.outputs.size(), 2U);
    for (const Tensor& output : given.outputs) EXPECT_FALSE(output.requires_grad());
    EXPECT_FALSE(weight.grad().defined());
    const at::NoGradGuard no_gradients;
    weight.sub_(given.gradients.at(0), 0.1);
    EXPECT_NEAR(given.outputs[0].item<double>(), loss, 1e-5 * loss) << "step " << step;
    EXPECT_TRUE(at::allclose(given.outputs[1].cpu().to(at::kDouble), of_rows, 1e-5, 1e-6)) << "step " << step;
    EXPECT_TRUE(at::allclose(weight.detach().cpu().to(at::kDouble), expected, 1e-5, 1e-6)) << "step " << step;
  }

  void expect_steps(StepGraph& graph, int64_t steps) {
    for (int64_t step = 0; step < steps; ++step) expect_step(graph, step);
  }
};

TEST(StepGraph, WithoutARecorderIsPlain) {
  Line line;
  StepGraph graph = line.graph({});
  line.expect_steps(graph, 8);
  EXPECT_EQ(graph.replayed(), 0);
  EXPECT_TRUE(graph.is_plain());
}

TEST(StepGraph, ReplaysOnOtherTensorsWithOtherWeights) {
  Line line;
  StepGraph graph = line.graph(faithful);
  line.expect_steps(graph, 12);
  EXPECT_EQ(graph.replayed(), 12 - before_replays);
  EXPECT_FALSE(graph.is_plain());
  EXPECT_TRUE(line.warnings.empty());
}

TEST(StepGraph, StaysPlainForTensorsOfOtherShapes) {
  Line line;
  StepGraph graph = line.graph(faithful);
  line.expect_steps(graph, 7);
  line.expect_step(graph, 7, /*rows=*/3);
  EXPECT_EQ(graph.replayed(), 7 - before_replays);
  line.expect_step(graph, 8);
  EXPECT_EQ(graph.replayed(), 8 - before_replays);
}

/// A recording works on the memory that it saw: parameters that moved would be overlooked.
TEST(StepGraph, StaysPlainForParametersThatLieElsewhere) {
  Line line;
  StepGraph graph = line.graph(faithful);
  line.expect_steps(graph, 7);
  const Tensor before = line.weight;
  line.weight = line.weight.detach().clone().requires_grad_(true);
  line.expect_step(graph, 7);
  EXPECT_EQ(graph.replayed(), 7 - before_replays);
  // The same memory as another tensor is as good as the first.
  const at::NoGradGuard no_gradients;
  before.copy_(line.weight);
  line.weight = before.detach().requires_grad_(true);
  const at::AutoGradMode gradients(true);
  line.expect_step(graph, 8);
  EXPECT_EQ(graph.replayed(), 8 - before_replays);
}

TEST(StepGraph, GivesTheOutputsOfEachStepAsTensorsOfTheirOwn) {
  const Tensor x = at::ones({1, 3}, test_device());
  Line line;
  StepGraph graph = line.graph(faithful);
  for (int64_t step = 0; step < before_replays; ++step) line.step(graph, line.outputs_of(), x);
  const StepResults once = line.step(graph, line.outputs_of(), x), twice = line.step(graph, line.outputs_of(), x * 2);
  EXPECT_EQ(graph.replayed(), 2);
  EXPECT_FLOAT_EQ(once.outputs[0].item<float>(), 5.25);
  EXPECT_FLOAT_EQ(once.outputs[1].item<float>(), 5.25);
  EXPECT_FLOAT_EQ(twice.outputs[0].item<float>(), 21);
}

TEST(StepGraph, ReplaysStepsThatGatherNothing) {
  Line line;
  StepGraph graph = line.graph(faithful);
  const OutputsOf outputs_of = [&](const std::vector<Tensor>&) { return std::vector<Tensor>{line.weight.square().sum()}; };
  for (int64_t step = 0; step < 8; ++step) {
    const auto replayed = graph.replay(outputs_of, {}, {line.weight});
    const StepResults given = replayed ? *replayed : results_of(outputs_of, {}, {line.weight});
    EXPECT_TRUE(at::equal(given.gradients.at(0), 2 * line.weight.detach())) << step;
    const at::NoGradGuard no_gradients;
    line.weight.mul_(0.5);
  }
  EXPECT_EQ(graph.replayed(), 8 - before_replays);
}

TEST(StepGraph, CountsAParameterThatTheLossDoesNotReachAsZero) {
  Line line;
  const Tensor other = at::ones({2}, test_device()).requires_grad_(true);
  StepGraph graph = line.graph(faithful);
  const Tensor x = at::ones({1, 3}, test_device());
  std::optional<StepResults> results;
  for (int64_t step = 0; step <= before_replays; ++step) results = graph.replay(line.outputs_of(), {x}, {other, line.weight});
  ASSERT_TRUE(results.has_value());
  EXPECT_TRUE(at::equal(results->gradients[0], at::zeros({2}, test_device())));
  EXPECT_TRUE(at::equal(results->gradients[1], 2 * line.weight.detach()));
}

TEST(StepGraph, GivesAGradientInTheOrderOfTheGradThatItIsAddedTo) {
  Tensor weight = at::ones({2, 3}, test_device()).requires_grad_(true);
  const Tensor x = at::arange(6, test_device()).to(at::kFloat).view({3, 2}).t();
  const OutputsOf outputs_of = [&](const std::vector<Tensor>& gathered) {
    return std::vector<Tensor>{(weight.t().contiguous() * gathered[0].t()).sum()};
  };
  EXPECT_FALSE(results_of(outputs_of, {x}, {weight}).gradients[0].is_contiguous());
  weight.mutable_grad() = at::zeros({2, 3}, test_device());
  const Tensor gradient = results_of(outputs_of, {x}, {weight}).gradients[0];
  EXPECT_TRUE(gradient.is_contiguous());
  EXPECT_TRUE(at::equal(gradient, x));
  EXPECT_TRUE(at::equal(weight.grad(), at::zeros({2, 3}, test_device())));
}

/// Once, with the name and the reason in one line; all steps are right.
void expect_fallback(const Recorder& recorder, const std::string& reason) {
  Line line;
  StepGraph graph = line.graph(recorder);
  line.expect_steps(graph, 12);
  EXPECT_EQ(graph.replayed(), 0) << reason;
  EXPECT_TRUE(graph.is_plain()) << reason;
  ASSERT_EQ(line.warnings.size(), 1U) << reason;
  EXPECT_TRUE(line.warnings[0].starts_with("line: ")) << line.warnings[0];
  EXPECT_EQ(line.warnings[0].find('\n'), std::string::npos) << line.warnings[0];
  EXPECT_NE(line.warnings[0].find(reason), std::string::npos) << line.warnings[0];
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

/// The sixth call is the replay that is compared, in which `change` makes the outputs others.
void expect_found(const std::string& words, const std::function<void(std::vector<Tensor>& outputs)>& change) {
  Line line;
  StepGraph graph = line.graph(faithful);
  int64_t calls = 0;
  const OutputsOf outputs_of = [&](const std::vector<Tensor>& gathered) {
    std::vector<Tensor> outputs = line.outputs_of()(gathered);
    if (++calls == 6) change(outputs);
    return outputs;
  };
  for (int64_t step = 0; step < 8; ++step) line.step(graph, outputs_of, at::ones({1, 3}, test_device()));
  EXPECT_EQ(graph.replayed(), 0);
  ASSERT_EQ(line.warnings.size(), 1U);
  EXPECT_NE(line.warnings[0].find(words), std::string::npos) << line.warnings[0];
}

TEST(StepGraph, FallsBackWhereOnlyAGradientOrAnotherOutputDiffers) {
  // The value is the same in each call, the gradient of one is twice as large.
  expect_found("a gradient differs from that of a plain step by 1 of",
               [](std::vector<Tensor>& outputs) { outputs[0] = outputs[0] + (outputs[0] - outputs[0].detach()); });
  expect_found("a value differs from that of a plain step by 0.5 of",
               [](std::vector<Tensor>& outputs) { outputs[1] = outputs[1] * 1.5; });
}

/// What a device records are kernels: a number of the host stays what it was. The step behind the recording sees that.
TEST(StepGraph, FallsBackWhereTheLossReadsANumberThatChanges) {
  Line line;
  StepGraph graph = line.graph([&line](const Work& work) {
    work();
    return [&line, work, recorded = line.factor] {
      const double now = std::exchange(line.factor, recorded);
      work();
      line.factor = now;
    };
  });
  for (int64_t step = 0; step < 12; ++step) {
    line.factor = 1 + static_cast<double>(step) / 10;
    line.expect_step(graph, step);
  }
  EXPECT_EQ(graph.replayed(), 0);
  ASSERT_EQ(line.warnings.size(), 1U);
  EXPECT_NE(line.warnings[0].find("differs from that of a plain step"), std::string::npos) << line.warnings[0];
}

struct StepGraphOnCuda : ::testing::Test {
  void SetUp() override {
    if (!test_device().is_cuda()) GTEST_SKIP() << "only CUDA records graphs: EIDOLON_TEST_DEVICE=cuda";
  }
};

TEST_F(StepGraphOnCuda, ReplaysOnOtherTensorsWithOtherWeights) {
  Line line;
  StepGraph graph = line.graph(graph_recorder(test_device()));
  line.expect_steps(graph, 12);
  EXPECT_EQ(graph.replayed(), 12 - before_replays);
}

TEST_F(StepGraphOnCuda, SeesANumberOfTheHostThatWasRecorded) {
  Line line;
  StepGraph graph = line.graph(graph_recorder(test_device()));
  for (int64_t step = 0; step < 12; ++step) {
    line.factor = 1 + static_cast<double>(step) / 10;
    line.expect_step(graph, step);
  }
  EXPECT_EQ(graph.replayed(), 0);
  ASSERT_EQ(line.warnings.size(), 1U);
  EXPECT_NE(line.warnings[0].find("differs from that of a plain step"), std::string::npos) << line.warnings[0];
}

/// The host may not wait for a device that records. Afterwards the device works, and records other work.
TEST_F(StepGraphOnCuda, FallsBackWhereTheLossIsReadAndCanRecordAgain) {
  Line line;
  StepGraph reading = line.graph([&line](const Work& work) {
    return graph_recorder(test_device())([&line, &work] {
      work();
      line.weight.sum().item<float>();
    });
  });
  line.expect_steps(reading, 12);
  EXPECT_EQ(reading.replayed(), 0);
  ASSERT_EQ(line.warnings.size(), 1U);
  EXPECT_NE(line.warnings[0].find("captur"), std::string::npos) << line.warnings[0];
  Line other;
  StepGraph graph = other.graph(graph_recorder(test_device()));
  other.expect_steps(graph, 12);
  EXPECT_EQ(graph.replayed(), 12 - before_replays);
}

}  // namespace
}  // namespace eidolon
