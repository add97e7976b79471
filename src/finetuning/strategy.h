// How a student is fine-tuned: a sequence of phases, each a loss over images and a set of trained tensors.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "finetuning/synthetic_images.h"
#include "finetuning/trainable.h"
#include "job/job.h"
#include "model/preprocessing.h"

namespace eidolon {

/// What a phase reached on held-out synthetic images; without any there are no losses, and what was trained stays.
struct PhaseOutcome {
  std::optional<double> before{};   ///< loss per image with the tensors that training is measured against
  std::optional<double> trained{};  ///< with the trained ones
  bool kept = true;                 ///< false: no improvement, the former were put back
};

/// Block-wise reconstruction, end-to-end distillation, or one after the other. All but loss() are collective.
class Strategy {
 public:
  virtual ~Strategy() = default;
  virtual int phases() const = 0;
  virtual std::string phase_name(int phase) const = 0;
  virtual int64_t iterations(int phase) const = 0;

  /// Prepares a phase; phases come in order, but the first call may be for any (a resumed run).
  virtual std::vector<Trainable> begin(int phase) = 0;

  /// Sum of the loss over these images of this rank, global indices, in step `step` of the phase (from 0). Differentiable in
  /// the trainables.
  virtual Tensor loss(const std::vector<int64_t>& images, int64_t step) = 0;

  /// After each step of a phase.
  virtual void after_step(int64_t) {}

  /// Ends the phase begun last: compares on held-out images, puts the former tensors back where training did not help.
  virtual PhaseOutcome conclude(std::vector<Trainable>& trainables) = 0;

  /// What a phase knows besides its trainables, for a checkpoint inside it; and back, after begin().
  virtual TensorMap state() const { return {}; }
  virtual void restore(const TensorMap&) {}
};

/// All that a strategy works on; must outlive it.
struct StrategyContext {
  const VisionTransformer& teacher;  ///< float32, on the device
  Student& student;
  const Student& calibrated;        ///< as calibrated, for comparison and to fall back on
  const SyntheticImages& images;    ///< this rank's training images
  const SyntheticImages& held_out;  ///< this rank's share of the held-out images
  const Preprocessing& preprocessing;
  const FinetuningJob& job;
  const Communicator& communicator;
  int64_t cache_bytes;
};

/// job.method: "blockwise" (finetuning/reconstruction.h; with distill_iterations, finetuning/distillation.h follows),
/// "distill" (that alone), "none" (no phases).
std::unique_ptr<Strategy> make_strategy(const StrategyContext& context);

/// Held-out loss per image, agreed over all ranks; nothing without held-out images. `sum` is called with this rank's in small
/// batches. `where` ("distill, step 40") is what a Fault says of a loss that is not finite.
std::optional<double> held_out_loss(const StrategyContext& context, const std::string& where,
                                    const std::function<double(const std::vector<int64_t>&)>& sum);

/// Ends a phase that changed the student's tensors `trained` (shared storage, by their names in a checkpoint): where the
/// trained loss is not below the calibrated one, the calibrated values are put back.
PhaseOutcome keep_if_better(std::optional<double> calibrated_loss, std::optional<double> trained_loss,
                            const Student& calibrated, TensorMap trained);

}  // namespace eidolon
