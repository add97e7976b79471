#include "finetuning/distillation.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "finetuning/image_stream.h"
#include "finetuning/training.h"
#include "tests/device/test_device.h"
#include "tests/finetuning/setting.h"

namespace eidolon {
namespace {

constexpr DistillationLength length{.iterations = 40, .learning_rate = 0.02};

void train(const Setting& setting, const Phase& phase, std::vector<Trainable>& trainables, int64_t steps) {
  GradientReducer reducer(parameters_of(trainables), setting.communicator, Reduction::plain);
  for (int64_t step = 0; step < steps; ++step) {
    train_step(phase, trainables, reducer, {.images = setting.images.global, .batch = setting.images.size(), .number = step});
    phase.after_step(step);
  }
}

double held_out_divergence(const Setting& setting, const Student& student) {
  const at::NoGradGuard no_grad;
  const Tensor images = small_input(setting.held_out.bytes);
  const Tensor p = forward(setting.teacher, images).to(at::kDouble).log_softmax(-1);
  const Tensor q = forward(student.model, images, quantizing_tap(student)).to(at::kDouble).log_softmax(-1);
  return (p.exp() * (p - q)).sum().item<double>() / static_cast<double>(images.size(0));
}

TEST(Distillation, LowersTheDivergenceOnHeldOutImages) {
  Setting setting;
  setting.job.scales.activation_learning_rate = setting.job.scales.weight_learning_rate = 1e-3;
  const Phase phase = setting.distillation(length);
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, length.iterations);
  const PhaseOutcome outcome = phase.conclude(trainables);
  EXPECT_TRUE(outcome.kept);
  EXPECT_LT(outcome.trained, outcome.before);
  EXPECT_NEAR(*outcome.before, held_out_divergence(setting, setting.calibrated), 1e-4 * *outcome.before);
  EXPECT_NEAR(*outcome.trained, held_out_divergence(setting, setting.student), 1e-4 * *outcome.trained);
}

TEST(Distillation, EndsInTheBestStateEvenIfTheLastIsRuined) {
  Setting setting;
  const Phase phase = setting.distillation({.iterations = 40, .learning_rate = 50.0});
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, 40);
  EXPECT_GT(held_out_divergence(setting, setting.student), held_out_divergence(setting, setting.calibrated));
  const PhaseOutcome outcome = phase.conclude(trainables);
  EXPECT_LE(outcome.trained, outcome.before);
  EXPECT_NEAR(*outcome.trained, held_out_divergence(setting, setting.student), 1e-4 * *outcome.before);
}

TEST(Distillation, LossIsDivergenceInNatsAndErrorOfTheBlocksInTokenUnits) {
  Setting setting;
  setting.job.distill.feature_weight = 0.5;
  const Phase phase = setting.distillation(length);
  phase.begin();
  const at::NoGradGuard no_grad;
  const ImageStream stream{setting.images, setting.preprocessing, {"stored"}, setting.job.seed};
  const Tensor images = images_of_step(stream, {0, 1}, 3).to(test_device());
  const Tensor p = forward(setting.teacher, images).to(at::kDouble).softmax(-1).flatten();
  const Tensor q =
      forward(setting.student.model, images, quantizing_tap(setting.student)).to(at::kDouble).softmax(-1).flatten();
  double expected = 0;
  for (int64_t i = 0; i < p.numel(); ++i) {
    expected += p[i].item<double>() * std::log(p[i].item<double>() / q[i].item<double>());
  }
  const Tap tap = quantizing_tap(setting.student);
  Tensor teacher = forward_section(setting.teacher, 0, images);
  Tensor student = forward_section(setting.student.model, 0, images, tap);
  const int blocks = setting.teacher.plan->section_count() - 2;
  ASSERT_EQ(blocks, 2);
  for (int section = 1; section <= blocks; ++section) {
    teacher = forward_section(setting.teacher, section, teacher);
    student = forward_section(setting.student.model, section, student, tap);
    for (int64_t image = 0; image < 2; ++image) {
      const Tensor centred = teacher[image] - teacher[image].mean(-1, true);
      const Tensor variance = centred.square().mean(-1, true), error = (student[image] - teacher[image]).square() / variance;
      expected += 0.5 * error.mean().item<double>() / blocks;
    }
  }
  EXPECT_NEAR(phase.loss({0, 1}, 3).item<double>(), expected, 1e-4 * expected);
}

TEST(Distillation, WithoutHeldOutImagesKeepsItsLastStateAndClaimsNothing) {
  Setting setting;
  setting.held_out = small_images(24, {});
  const Phase phase = setting.distillation(length);
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, 20);
  const Phase resumed = setting.distillation(length);
  resumed.begin();
  resumed.restore(phase.state());
  const Student last = setting.student.clone();
  for (const Phase* one : {&phase, &resumed}) {
    const PhaseOutcome outcome = one->conclude(trainables);
    EXPECT_TRUE(outcome.kept);
    EXPECT_FALSE(outcome.before || outcome.trained);
    const TensorMap expected = student_tensors(last);
    for (const auto& [name, tensor] : student_tensors(setting.student))
      EXPECT_TRUE(at::equal(tensor, expected.at(name))) << name;
  }
}

TEST(Distillation, OfAPerfectStudentIsNoBetterAndEndsWhereItBegan) {
  Setting setting;
  setting.student = {setting.teacher.clone(), {}};  // nothing is rounded: its loss is 0
  setting.calibrated = setting.student.clone();
  const Phase phase = setting.distillation(length);
  std::vector<Trainable> trainables = phase.begin();
  {
    const at::NoGradGuard no_gradients;
    for (Trainable& entry : trainables) entry.parameter.add_(0.1);
  }
  const PhaseOutcome outcome = phase.conclude(trainables);
  EXPECT_EQ(outcome.before, 0.0);
  EXPECT_FALSE(outcome.kept);
  for (const auto& [name, tensor] : setting.teacher.parameters) {
    EXPECT_TRUE(at::equal(tensor, setting.student.model[name])) << name;
  }
}

TEST(Distillation, WithALossThatIsNotFiniteNamesPhaseAndStep) {
  Setting setting;
  constexpr DistillationLength ten{.iterations = 10, .learning_rate = 0.02};
  const Phase begun = setting.distillation(ten), beginning = setting.distillation(ten);
  begun.begin();
  {
    const at::NoGradGuard no_gradients;
    setting.student.model.parameters.at("head.bias")[0] = std::numeric_limits<double>::quiet_NaN();
  }
  const auto said = [](const std::function<void()>& act) -> std::string {
    try {
      act();
    } catch (const Fault& fault) {
      return fault.what();
    }
    return "nothing";
  };
  const std::string rest = ": the loss on held-out images is not finite; lower the learning rates of [finetuning]";
  EXPECT_EQ(said([&] { begun.after_step(6); }), "distill, step 7" + rest);
  EXPECT_EQ(said([&] { beginning.begin(); }), "distill, step 0" + rest);
}

TEST(Distillation, GoesOnFromItsStateAsIfNeverInterrupted) {
  Setting calm, resumed;
  const Phase first = calm.distillation(length), second = resumed.distillation(length);
  std::vector<Trainable> one = first.begin();
  train(calm, first, one, 12);
  second.begin();
  second.restore(first.state());
  const TensorMap here = first.state(), there = second.state();
  ASSERT_EQ(here.size(), there.size());
  for (const auto& [name, tensor] : here) EXPECT_TRUE(at::equal(tensor, there.at(name))) << name;
}

}  // namespace
}  // namespace eidolon
