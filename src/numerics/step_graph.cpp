#include "numerics/step_graph.h"

#include <cstdio>
#include <exception>
#include <utility>

#include "base/one_line.h"
#include "base/pulse.h"

namespace eidolon {
namespace {

constexpr int64_t plain_steps = 3;  ///< before the recording: kernels are compiled and chosen when they are first used

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
std::optional<std::string> difference(const StepResults& replayed, const StepResults& plain) {
  const auto words = [](const char* what, const Tensor& given, const Tensor& expected) {
    char text[100];
    std::snprintf(text, sizeof text, "%s differs from that of a plain step by %.2g of its largest value", what,
                  relative_difference(given, expected));
    return std::string(text);
  };
  for (size_t i = 0; i < plain.outputs.size(); ++i) {
    const Tensor &given = replayed.outputs[i], &expected = plain.outputs[i];
    if (!at::equal(given, expected)) return words(i == 0 ? "its loss" : "a value", given, expected);
  }
  for (size_t i = 0; i < plain.gradients.size(); ++i) {
    const Tensor &given = replayed.gradients[i], &expected = plain.gradients[i];
    if (!at::equal(given, expected)) return words("a gradient", given, expected);
  }
  return std::nullopt;
}

}  // namespace

StepResults results_of(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered,
                       const std::vector<Tensor>& parameters) {
  StepResults results{.outputs = outputs_of(gathered), .gradients = {}};
  results.gradients = torch::autograd::grad({results.outputs.at(0)}, parameters, {}, /*retain_graph=*/false,
                                            /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < parameters.size(); ++i) {
    Tensor& gradient = results.gradients[i];
    if (!gradient.defined()) gradient = at::zeros_like(parameters[i]);
    if (parameters[i].grad().defined()) gradient = gradient.contiguous();  // so that one kernel adds them all
  }
  for (Tensor& output : results.outputs) output = output.detach();
  return results;
}

struct StepGraph::Recording {
  std::vector<Tensor> inputs;
  std::vector<Tensor> parameters;
  StepResults results;
  Replay replay;

  bool fits(const std::vector<Tensor>& gathered, const std::vector<Tensor>& trained) const {
    if (!same_shapes(inputs, gathered) || !same_shapes(parameters, trained)) return false;
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].const_data_ptr() != trained[i].const_data_ptr()) return false;
    }
    return true;
  }

  void start(const std::vector<Tensor>& gathered) {
    if (!inputs.empty()) at::_foreach_copy_(inputs, gathered);
    replay();
  }
};

StepGraph::StepGraph(std::string name, Recorder recorder, Warn warn)
    : name_(std::move(name)), recorder_(std::move(recorder)), warn_(std::move(warn)) {}
StepGraph::~StepGraph() = default;

std::optional<StepResults> StepGraph::replay(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered,
                                             const std::vector<Tensor>& parameters) {
  if (is_plain() || (recording_ && !recording_->fits(gathered, parameters))) return std::nullopt;
  if (!proved_) {
    if (plain_++ >= plain_steps) prepare(outputs_of, gathered, parameters);
    return std::nullopt;
  }
  recording_->start(gathered);
  pulse();
  ++replayed_;
  StepResults results = recording_->results;
  for (Tensor& output : results.outputs) output = output.clone();  // the next replay writes it anew
  return results;
}

void StepGraph::prepare(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered,
                        const std::vector<Tensor>& parameters) {
  try {
    if (!recording_) return record(outputs_of, gathered, parameters);
    recording_->start(gathered);
    const auto found = difference(recording_->results, results_of(outputs_of, gathered, parameters));
    if (found) return give_up(*found);
    proved_ = true;
  } catch (const c10::Error& error) {
    give_up(error.what_without_backtrace());
  } catch (const std::exception& error) {
    give_up(error.what());
  }
}

void StepGraph::record(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered,
                       const std::vector<Tensor>& parameters) {
  auto fresh = std::make_unique<Recording>();
  for (const Tensor& tensor : gathered) fresh->inputs.push_back(tensor.clone());
  fresh->parameters = parameters;
  Recording& place = *fresh;
  fresh->replay = recorder_([&place, outputs_of] { place.results = results_of(outputs_of, place.inputs, place.parameters); });
  recording_ = std::move(fresh);
}

void StepGraph::give_up(const std::string& reason) {
  recording_.reset();
  recorder_ = nullptr;
  warn_(name_ + ": its steps cannot be started as one graph of the device, so their kernels are started one by one, " +
        "which is slower and gives the same numbers: " + one_line(reason));
}

}  // namespace eidolon
