// A step's results and gradients as one graph of the device, which is recorded once for many steps.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "numerics/device_graph.h"

namespace eidolon {

/// What a step computes, from tensors on the device and from what is trained: a loss, which is differentiated, and what else it
/// tells. The same kernels at every step: all draws of random numbers and all traffic with the host are in what was gathered.
using OutputsOf = std::function<std::vector<Tensor>(const std::vector<Tensor>& gathered)>;

struct StepResults {
  std::vector<Tensor> outputs;    ///< detached
  std::vector<Tensor> gradients;  ///< of the first output, one per parameter; zeros where it does not depend on it
};

/// A plain step. The parameters' grads stay as they are; a gradient is contiguous where its parameter has a grad to add it to.
StepResults results_of(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters);

/// The first steps are plain. The next one is recorded, on tensors that later steps are copied into. The one behind it is
/// computed in both ways, on other inputs and with other parameters than the recording saw. Only where all bits agree do steps
/// replay the recording, so a run that is stopped and resumed between any two steps ends in the same bits. Steps of other
/// shapes, or on parameters that lie elsewhere, stay plain. All do where recording fails or the bits differ; a warning then
/// names the reason.
class StepGraph {
 public:
  using Warn = std::function<void(const std::string& message)>;

  /// `name` says whose steps these are, for the warning. Without a recorder every step is plain.
  StepGraph(std::string name, Recorder recorder, Warn warn);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// The results of a step that is replayed, whose gradients stand until the next one; nothing where the caller computes the
  /// step by itself. What a step depends on besides `gathered` and the values of `parameters` must be that of the first call.
  std::optional<StepResults> replay(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered,
                                    const std::vector<Tensor>& parameters);

  bool is_plain() const { return !recorder_; }    ///< no step will be replayed
  int64_t replayed() const { return replayed_; }  ///< steps so far

 private:
  struct Recording;
  void prepare(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters);
  void record(const OutputsOf& outputs_of, const std::vector<Tensor>& gathered, const std::vector<Tensor>& parameters);
  void give_up(const std::string& reason);

  std::string name_;
  Recorder recorder_;
  Warn warn_;
  std::unique_ptr<Recording> recording_;
  bool proved_ = false;
  int64_t plain_ = 0, replayed_ = 0;  ///< steps so far
};

}  // namespace eidolon
