// A training step's loss and gradients as one graph of the device, which is recorded once per phase.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "numerics/device_graph.h"

namespace eidolon {

/// A loss as a function of tensors on the device and of what is trained, as SplitLoss::loss_of (finetuning/phase.h).
using LossOf = std::function<Tensor(const std::vector<Tensor>& gathered)>;

/// A phase's first steps are plain. The next one is recorded, on tensors that later steps are copied into. The one behind it is
/// computed in both ways, on other images and with other weights than the recording saw. Only where all bits agree do steps
/// replay the recording, so a run that is stopped and resumed between any two steps ends in the same bits. Steps of other
/// shapes stay plain, and all do where recording fails or the bits differ; a warning then names the reason.
class StepGraph {
 public:
  /// `name` is the phase's, for the warning. Without a recorder every step is plain.
  StepGraph(std::string name, Recorder recorder);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// The loss, detached; its gradients are added to the grads of `parameters`, which are all that it depends on besides
  /// `gathered`. Parameters and loss must be those of the first call.
  Tensor loss_and_gradients(const LossOf& loss_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters);

  int64_t replayed() const { return replayed_; }  ///< steps so far

 private:
  struct Recording;
  Tensor replayed_step(const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters);
  void prepare(const LossOf& loss_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters);
  void record(const LossOf& loss_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters);
  void give_up(const std::string& reason);

  std::string name_;
  Recorder recorder_;
  std::unique_ptr<Recording> recording_;
  bool proved_ = false;
  int64_t plain_ = 0, replayed_ = 0;  ///< steps so far
};

}  // namespace eidolon
