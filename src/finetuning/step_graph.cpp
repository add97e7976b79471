#include "finetuning/step_graph.h"

#include <cstdio>
#include <exception>
#include <optional>
#include <utility>

#include "base/one_line.h"
#include "base/pulse.h"
#include "cluster/log.h"

namespace eidolon {
namespace {

constexpr int64_t plain_steps = 3;  ///< before the recording: kernels are compiled and chosen when they are first used

/// Of the parameters' grads nothing is written: the loss and its gradients stand in tensors of their own.
struct Results {
  Tensor loss;
  std::vector<Tensor> gradients;
};

Results results_of(const LossOf& loss_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters) {
  const Tensor loss = loss_of(gathered);
  std::vector<Tensor> gradients =
      torch::autograd::grad({loss}, parameters, {}, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < gradients.size(); ++i) {
    // In the order of the grads, so that one kernel adds them all.
    gradients[i] = gradients[i].defined() ? gradients[i].contiguous() : at::zeros_like(parameters[i]);
  }
  return {.loss = loss.detach(), .gradients = std::move(gradients)};
}

Tensor plain_step(const LossOf& loss_of, const std::vector<Tensor>& gathered) {
  const Tensor loss = loss_of(gathered);
  torch::autograd::backward({loss}, {});
  return loss.detach();
}

bool same_shapes(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].sizes() != b[i].sizes() || a[i].scalar_type() != b[i].scalar_type()) return false;
  }
  return true;
}

/// How far two tensors differ, relative to the largest value of the second.
double relative_difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>() / b.abs().max().item<double>();
}

/// What differs, in words.
std::optional<std::string> difference(const Results& replayed, const Results& plain) {
  const auto words = [](const char* what, double by) {
    char text[100];
    std::snprintf(text, sizeof text, "%s differs from that of a plain step by %.2g of its largest value", what, by);
    return std::string(text);
  };
  if (!at::equal(replayed.loss, plain.loss)) return words("its loss", relative_difference(replayed.loss, plain.loss));
  for (size_t i = 0; i < plain.gradients.size(); ++i) {
    const Tensor &given = replayed.gradients[i], &expected = plain.gradients[i];
    if (!at::equal(given, expected)) return words("a gradient", relative_difference(given, expected));
  }
  return std::nullopt;
}

}  // namespace

struct StepGraph::Recording {
  std::vector<Tensor> inputs;
  Results results;
  Replay replay;

  void start(const std::vector<Tensor>& gathered) {
    at::_foreach_copy_(inputs, gathered);
    replay();
  }
};

StepGraph::StepGraph(std::string name, Recorder recorder) : name_(std::move(name)), recorder_(std::move(recorder)) {}
StepGraph::~StepGraph() = default;

Tensor StepGraph::loss_and_gradients(const LossOf& loss_of, const std::vector<Tensor>& gathered,
                                     const std::vector<Tensor>& parameters) {
  const bool fits = !recording_ || same_shapes(recording_->inputs, gathered);
  if (proved_ && fits) return replayed_step(gathered, parameters);
  if (recorder_ && fits && plain_++ >= plain_steps) prepare(loss_of, gathered, parameters);
  return plain_step(loss_of, gathered);
}

Tensor StepGraph::replayed_step(const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters) {
  recording_->start(gathered);
  pulse();
  std::vector<Tensor> grads;
  for (const Tensor& parameter : parameters) grads.push_back(parameter.grad());
  const at::NoGradGuard no_gradients;
  at::_foreach_add_(grads, recording_->results.gradients);
  ++replayed_;
  return recording_->results.loss.clone();  // the next replay writes it anew
}

void StepGraph::prepare(const LossOf& loss_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters) {
  try {
    if (!recording_) return record(loss_of, gathered, parameters);
    recording_->start(gathered);
    const auto found = difference(recording_->results, results_of(loss_of, gathered, parameters));
    if (found) return give_up(*found);
    proved_ = true;
  } catch (const c10::Error& error) {
    give_up(error.what_without_backtrace());
  } catch (const std::exception& error) {
    give_up(error.what());
  }
}

void StepGraph::record(const LossOf& loss_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters) {
  auto fresh = std::make_unique<Recording>();
  for (const Tensor& tensor : gathered) fresh->inputs.push_back(tensor.clone());
  Recording& place = *fresh;
  fresh->replay = recorder_([&place, loss_of, parameters] { place.results = results_of(loss_of, place.inputs, parameters); });
  recording_ = std::move(fresh);
}

void StepGraph::give_up(const std::string& reason) {
  recording_.reset();
  recorder_ = nullptr;
  log::warn(name_ + ": its steps cannot be started as one graph of the device, so their kernels are started one by one, " +
            "which is slower and gives the same numbers: " + one_line(reason));
}

}  // namespace eidolon
