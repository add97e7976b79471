#include "finetuning/training.h"

#include <vector>

namespace eidolon {
namespace {

constexpr AdamSettings adam{0.9, 0.999, 1e-8};

}  // namespace

Tensor train_step(const Phase& phase, std::vector<Trainable>& trainables, GradientReducer& reducer, const TrainingStep& step) {
  reducer.zero();
  Tensor share = at::zeros({}, trainables.front().parameter.options().requires_grad(false));
  if (!step.images.empty()) {
    const Tensor loss = phase.loss(step.images, step.number) / static_cast<double>(step.batch);
    torch::autograd::backward({loss}, {});
    share = loss.detach();
  }
  reducer.finish();
  for (Trainable& entry : trainables) {
    adam_step(entry.parameter, entry.parameter.grad(), entry.moments, entry.rate * step.rate_factor, adam);
    if (!entry.lowest.defined()) continue;
    const at::NoGradGuard no_grad;
    entry.parameter.clamp_min_(entry.lowest);
  }
  return share;
}

std::vector<Tensor> parameters_of(const std::vector<Trainable>& trainables) {
  std::vector<Tensor> parameters;
  for (const Trainable& entry : trainables) parameters.push_back(entry.parameter);
  return parameters;
}

}  // namespace eidolon
