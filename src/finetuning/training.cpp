#include "finetuning/training.h"

#include <optional>
#include <vector>

#include "numerics/sgd.h"

namespace eidolon {
namespace {

constexpr AdamSettings adam{0.9, 0.999, 1e-8};
constexpr SgdSettings sgd{0.9, 1e-4};  ///< GDFQ's

void update_by_adam(std::vector<Trainable>& trainables, double rate_factor) {
  std::vector<Tensor> gradients, rates;
  std::vector<AdamMoments*> moments;
  for (Trainable& entry : trainables) {
    gradients.push_back(entry.parameter.grad());
    rates.push_back(entry.rate);
    moments.push_back(&entry.moments);
  }
  adam_steps(parameters_of(trainables), gradients, moments, at::_foreach_mul(rates, rate_factor), adam);
}

/// The velocity lives in the first of Adam's moments.
void update_by_sgd(std::vector<Trainable>& trainables, double rate_factor) {
  for (Trainable& entry : trainables)
    sgd_step(entry.parameter, entry.parameter.grad(), entry.moments.exp_avg, entry.rate * rate_factor, sgd);
}

void update(std::vector<Trainable>& trainables, double rate_factor, Optimizer optimizer) {
  optimizer == Optimizer::adam ? update_by_adam(trainables, rate_factor) : update_by_sgd(trainables, rate_factor);
  const at::NoGradGuard no_grad;
  for (Trainable& entry : trainables) {
    if (entry.lowest.defined()) entry.parameter.clamp_min_(entry.lowest);
  }
}

Tensor with_gradients(const Tensor& loss) {
  torch::autograd::backward({loss}, {});
  return loss.detach();
}

void add_to_grads(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients) {
  std::vector<Tensor> grads;
  for (const Tensor& parameter : parameters) grads.push_back(parameter.grad());
  const at::NoGradGuard no_gradients;
  at::_foreach_add_(grads, gradients);
}

/// This rank's share of the loss; its gradients are added to the parameters' grads.
Tensor share_of_loss(const Phase& phase, const std::vector<Trainable>& trainables, const TrainingStep& step, StepGraph* graph) {
  const auto batch = static_cast<double>(step.batch);
  if (graph != nullptr && phase.split && static_cast<int64_t>(step.images.size()) == step.batch) {
    const OutputsOf share_of = [batch, loss_of = phase.split->loss_of](const std::vector<Tensor>& gathered) {
      return std::vector<Tensor>{loss_of(gathered) / batch};
    };
    const std::vector<Tensor> gathered = phase.split->gather(step.images, step.number), parameters = parameters_of(trainables);
    const std::optional<StepResults> replayed = graph->replay(share_of, gathered, parameters);
    if (!replayed) return with_gradients(share_of(gathered)[0]);
    add_to_grads(parameters, replayed->gradients);
    return replayed->outputs[0];
  }
  return with_gradients(phase.loss(step.images, step.number) / batch);
}

}  // namespace

Tensor train_step(const Phase& phase, std::vector<Trainable>& trainables, GradientReducer& reducer, const TrainingStep& step,
                  StepGraph* graph) {
  reducer.zero();
  const Tensor share = step.images.empty() ? at::zeros({}, trainables.front().parameter.options().requires_grad(false))
                                           : share_of_loss(phase, trainables, step, graph);
  reducer.finish();
  update(trainables, step.rate_factor, phase.optimizer);
  return share;
}

std::vector<Tensor> parameters_of(const std::vector<Trainable>& trainables) {
  std::vector<Tensor> parameters;
  for (const Trainable& entry : trainables) parameters.push_back(entry.parameter);
  return parameters;
}

}  // namespace eidolon
