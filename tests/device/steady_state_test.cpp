// What a step costs a device besides its arithmetic, counted on the stand-in accelerator: nothing is read back, the few
// numbers that change from step to step are sent without waiting, and step 100 is like step 10.
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include "finetuning/reconstruction.h"
#include "finetuning/training.h"
#include "job/synthesis_methods.h"
#include "synthesis/optimization.h"
#include "tests/device/standin_accelerator.h"
#include "tests/device/test_device.h"
#include "tests/finetuning/setting.h"
#include "tests/finetuning/variants.h"
#include "tests/synthesis/recordable.h"

namespace eidolon {
namespace {

standin::Counts operator-(const standin::Counts& a, const standin::Counts& b) {
  return {a.scalars_read - b.scalars_read, a.copies_to_host - b.copies_to_host, a.copies_to_device - b.copies_to_device,
          a.allocations - b.allocations, a.operations - b.operations};
}

/// Of one step, once `before` steps are done.
template <class Step>
standin::Counts cost_of(int before, Step step) {
  for (int i = 0; i < before; ++i) step();
  const standin::Counts start = standin::counts();
  step();
  return standin::counts() - start;
}

void expect_steady(const standin::Counts& tenth, const standin::Counts& hundredth, int64_t sent) {
  EXPECT_EQ(tenth.scalars_read, 0);
  EXPECT_EQ(tenth.copies_to_host, 0);
  EXPECT_LE(tenth.copies_to_device, sent);
  EXPECT_GT(tenth.operations, 0) << "the step does not run on the device";
  EXPECT_EQ(hundredth.scalars_read, tenth.scalars_read);
  EXPECT_EQ(hundredth.copies_to_device, tenth.copies_to_device);
  EXPECT_EQ(hundredth.allocations, tenth.allocations);
  EXPECT_EQ(hundredth.operations, tenth.operations);
}

void expect_steady_synthesis(const std::string& method, int64_t sent) {
  SynthesisJob job = synthesis_method(method).defaults();
  job.unit_images = 4;
  job.iterations = 1000;
  if (method == "sardfq") job.sardfq.prior_weight = 100.0;
  const SynthesisTeacher teacher{small_model(), small_preprocessing()};
  const Unit unit{0, job.unit_images};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, unit));
  const auto step = [&] { optimise_once(teacher, job, objective, state); };
  const standin::Counts tenth = cost_of(9, step), hundredth = cost_of(89, step);
  expect_steady(tenth, hundredth, sent);
}

TEST(SteadyState, ASynthesisIterationSendsItsViewsAndReadsNothing) {
  expect_steady_synthesis("views", 1);
}

TEST(SteadyState, OtherMethodsSendNothingButTheMatrixThatEnlargesCrops) {
  expect_steady_synthesis("psaq", 0);
  expect_steady_synthesis("sardfq", 1);
}

/// Its row numbers go to three caches, and the mask of the mixed inputs is drawn on the host where there is no CUDA.
TEST(SteadyState, ATrainingStepSendsItsRowNumbersAndMaskAndReadsNothing) {
  Setting setting;
  setting.job.input_mix = 0.5;
  setting.job.importance = "gradient";
  setting.job.token_units = true;
  const std::vector<Phase> phases = setting.phases();
  const Phase& phase = phases.at(1);
  std::vector<Trainable> trainables = phase.begin();
  GradientReducer reducer(parameters_of(trainables), setting.communicator, Reduction::overlapped);
  int64_t number = 0;
  const auto step = [&] { train_step(phase, trainables, reducer, {.images = {0, 3, 5}, .batch = 3, .number = number++}); };
  const standin::Counts tenth = cost_of(9, step), hundredth = cost_of(89, step);
  expect_steady(tenth, hundredth, 4);
}

/// Forward and backward pass of the half that a device records: nothing is read, and nothing sent.
void expect_recordable(const std::string& name, const OutputsOf& outputs_of, const std::vector<Tensor>& gathered,
                       const std::vector<Tensor>& parameters) {
  for (const Tensor& tensor : gathered) EXPECT_EQ(tensor.device(), test_device()) << name;
  const standin::Counts start = standin::counts();
  results_of(outputs_of, gathered, parameters);
  const standin::Counts cost = standin::counts() - start;
  EXPECT_EQ(cost.scalars_read, 0) << name;
  EXPECT_EQ(cost.copies_to_host, 0) << name;
  EXPECT_EQ(cost.copies_to_device, 0) << name;
  EXPECT_GT(cost.operations, 0) << name;
}

void expect_recordable(const std::string& name, const Phase& phase, const std::vector<Trainable>& trainables) {
  const SplitLoss& split = phase.split.value();
  const OutputsOf outputs_of = [&](const std::vector<Tensor>& gathered) {
    return std::vector<Tensor>{split.loss_of(gathered)};
  };
  expect_recordable(name, outputs_of, split.gather({0, 3, 5}, 2), parameters_of(trainables));
}

TEST(SteadyState, WhatAGraphRecordsOfAUnitNeitherReadsNorSends) {
  for (const testing::Recordable& one : testing::recordables()) {
    const UnitObjective objective = testing::objective_of(one);
    EXPECT_TRUE(objective.recordable) << one.name;
    const UnitState state = start_unit(one.teacher, start_pixels(one.job, one.teacher.preprocessing, objective.unit));
    const Tensor pixels = state.pixels.detach().requires_grad_(true);
    const Views views = draw_views(one.job, one.teacher.preprocessing, objective.unit, 0).to(test_device());
    std::vector<Tensor> gathered;
    if (views.side.defined()) gathered.push_back(views.joined());
    expect_recordable(one.name, iteration_outputs(one.teacher, objective, pixels), gathered, {pixels});
  }
}

TEST(SteadyState, WhatAGraphRecordsNeitherReadsNorSends) {
  int recorded = 0;
  for (const Variant& variant : variants()) {
    Setting setting;
    variant.choose(setting.job);
    for (const Phase& phase : setting.phases()) {
      std::vector<Trainable> trainables = phase.begin();
      if (phase.split) {
        expect_recordable(variant.name + ", " + phase.name, phase, trainables);
        ++recorded;
      }
      freeze(trainables);
      phase.conclude(trainables);
    }
  }
  EXPECT_GT(recorded, 10);
  for (const std::string distance : {"kl", "mae"}) {
    Setting setting;
    setting.job.distill.distance = distance;
    setting.job.scales.activation_learning_rate = setting.job.scales.weight_learning_rate = 1e-3;
    const Phase phase = setting.distillation({.iterations = 10, .learning_rate = 0.01});
    expect_recordable("distill by " + distance, phase, phase.begin());
  }
}

/// Of the stand-in itself: what tests of waiting rest on.
TEST(LateCopies, AreMadeWhenTheDeviceIsUsedOrWaitedFor) {
  const at::Device device = test_device();
  const Tensor source = at::ones({4}).pin_memory();
  const Tensor first = source.to(device, /*non_blocking=*/true);
  source.fill_(2);
  EXPECT_EQ(first.sum().item<double>(), 8) << "nobody waited before the source was changed";
  const Tensor second = source.to(device, /*non_blocking=*/true);
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
  source.fill_(3);
  EXPECT_EQ(second.sum().item<double>(), 8);
  const Tensor third = source.to(device);
  source.fill_(4);
  EXPECT_EQ(third.sum().item<double>(), 12) << "the host waits for a plain copy";
}

}  // namespace
}  // namespace eidolon
