// The same losses for any number of ranks with the same global batch. Rank 0 of every run compares with the whole batch
// computed alone, so that each rank count is held against the same oracle.
#include <gtest/gtest.h>

#include "finetuning/sampler.h"
#include "finetuning/training.h"
#include "tests/finetuning/small_model.h"

namespace eidolon {
namespace {

constexpr int steps = 20;
constexpr int64_t image_count = 24, batch = 8;

/// Loss of each step of plain SGD on the KL to the teacher, without quantizers, on one process: written apart from the trainer.
std::vector<double> losses_alone(double rate) {
  const Network teacher = small_model();
  Network student = teacher.clone();
  for (auto& [name, parameter] : student.parameters) parameter.mul_(0.6);
  const Sampler sampler(1, image_count, batch, 0, 1);
  std::vector<int64_t> all(image_count);
  for (int64_t i = 0; i < image_count; ++i) all[i] = i;
  const SyntheticImages images = small_images(image_count, all);
  std::vector<Tensor> parameters;
  for (auto& [name, parameter] : student.parameters) parameters.push_back(parameter.requires_grad_(true));
  std::vector<AdamMoments> moments;
  for (const Tensor& parameter : parameters) moments.push_back(AdamMoments::zeros_like(parameter));
  std::vector<double> losses;
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor input = normalise(small_preprocessing(), images.bytes.index_select(0, images.rows(sampler.at(step))));
    const Tensor p = forward(teacher, input).log_softmax(-1), q = forward(student, input).log_softmax(-1);
    const Tensor loss = (p.exp() * (p - q)).sum() / static_cast<double>(batch);
    const auto gradients = torch::autograd::grad({loss}, parameters, {}, {}, false, true);
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (gradients[i].defined()) adam_step(parameters[i], gradients[i], moments[i], at::scalar_tensor(rate, at::kFloat), {});
    }
    losses.push_back(loss.item<double>());
  }
  return losses;
}

Phase plain_distillation(const Network& teacher, Network& student, const SyntheticImages& images, double rate) {
  Phase phase;
  phase.name = "distill";
  phase.iterations = steps;
  phase.begin = [&student, rate] {
    std::vector<Trainable> trainables;
    for (auto& [name, parameter] : student.parameters) {
      parameter.requires_grad_(true);
      trainables.push_back({name, parameter, at::scalar_tensor(rate, at::kFloat), AdamMoments::zeros_like(parameter)});
    }
    return trainables;
  };
  phase.loss = [&teacher, &student, &images](const std::vector<int64_t>& chosen, int64_t) {
    const Tensor input = normalise(small_preprocessing(), images.bytes.index_select(0, images.rows(chosen)));
    const Tensor p = forward(teacher, input).log_softmax(-1), q = forward(student, input).log_softmax(-1);
    return (p.exp() * (p - q)).sum();
  };
  phase.conclude = [](std::vector<Trainable>&) { return PhaseOutcome(); };
  return phase;
}

TEST(TrainingOverRanks, LossCurveAgreesWithOneProcess) {
  const Communicator communicator = Communicator::world();
  const Network teacher = small_model();
  Network student = teacher.clone();
  for (auto& [name, parameter] : student.parameters) parameter.mul_(0.6);
  const Sampler sampler(1, image_count, batch, communicator.rank(), communicator.size());
  const SyntheticImages images = small_images(image_count, sampler.own_images());
  const double rate = 1e-4;  // small steps: Adam turns the last bits of vanishing gradients into whole ones
  const Phase phase = plain_distillation(teacher, student, images, rate);
  std::vector<Trainable> trainables = phase.begin();
  GradientReducer reducer(parameters_of(trainables), communicator, Reduction::overlapped);
  const std::vector<double> expected = losses_alone(rate);
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor share = train_step(phase, trainables, reducer, {.images = sampler.at(step), .batch = batch, .number = step});
    const double loss = communicator.sum(share.item<double>());
    EXPECT_NEAR(loss, expected[step], 1e-5 * expected[step]) << "step " << step;
  }
}

}  // namespace
}  // namespace eidolon
