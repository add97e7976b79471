// How a student is fine-tuned: a list of phases, each a loss over images and a set of trained tensors.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "finetuning/cache_budget.h"
#include "finetuning/image_stream.h"
#include "finetuning/synthetic_images.h"
#include "finetuning/trainable.h"
#include "job/job.h"
#include "model/preprocessing.h"

namespace eidolon {

/// What a phase reached on held-out synthetic images. Without any there are no losses, and what was trained stays.
struct PhaseOutcome {
  std::optional<double> before{};   ///< loss per image with the tensors that training is measured against
  std::optional<double> trained{};  ///< with the trained ones
  bool kept = true;                 ///< false: no improvement, the former were put back
};

enum class Optimizer { adam, sgd };

/// A loss in two halves, so that a device can record the second one (numerics/step_graph.h): loss(images, step) is
/// loss_of(gather(images, step)).
struct SplitLoss {
  /// What the step reads besides the trainables: tensors on the device without gradients, whose shapes the number of images
  /// decides. All draws of random numbers and all traffic with the host belong here.
  std::function<std::vector<Tensor>(const std::vector<int64_t>& images, int64_t step)> gather;
  /// A function of these tensors and of the trainables: the same kernels at every step of the phase.
  std::function<Tensor(const std::vector<Tensor>& gathered)> loss_of;
};

/// Functions of one phase. All but `loss` are collective. Phases come in order, but a resumed run may begin with any.
struct Phase {
  std::string name;  ///< "reconstruct/blocks.3", "distill"; stands in checkpoints
  int64_t iterations = 0;
  Optimizer optimizer = Optimizer::adam;

  std::function<std::vector<Trainable>()> begin;

  /// Sum of the loss over these images of this rank, global indices, in step `step` of the phase (from 0). Differentiable in
  /// the trainables.
  std::function<Tensor(const std::vector<int64_t>& images, int64_t step)> loss;
  std::optional<SplitLoss> split{};  ///< of a loss that can be split

  std::function<void(int64_t step)> after_step = [](int64_t) {};

  /// Ends the phase: compares on held-out images and puts the former tensors back where training did not help.
  std::function<PhaseOutcome(std::vector<Trainable>& trainables)> conclude;

  /// What the phase knows besides its trainables, for a checkpoint inside it; and back, after begin().
  std::function<TensorMap()> state = [] { return TensorMap(); };
  std::function<void(const TensorMap& state)> restore = [](const TensorMap&) {};
};

/// The networks of fine-tuning, on the device. What is referred to must outlive the phases.
struct Models {
  const Network& teacher;  ///< float32
  Student& student;
  const Student& calibrated;  ///< as calibrated, for comparison and to fall back on
};

/// This rank's synthetic images.
struct PhaseImages {
  const SyntheticImages& training;
  const SyntheticImages& held_out;  ///< its share of them
  const Preprocessing& preprocessing;
  GeneratedImages generated = {};  ///< none where no generator made the images
};

/// job.method: "blockwise" (finetuning/reconstruction.h; with iterations of its own, finetuning/distillation.h follows),
/// "distill" (that alone), "none" (no phases). `budget`: for what sections are given and shall give, on this rank.
std::vector<Phase> phases_of(const FinetuningJob& job, const Models& models, const PhaseImages& images,
                             const Communicator& communicator, const CacheBudget& budget);

/// Held-out loss per image, agreed over all ranks; nothing without held-out images. `sum` is called with this rank's in small
/// batches. `where` ("distill, step 40") is what a Fault says of a loss that is not finite.
std::optional<double> held_out_loss(const SyntheticImages& held_out, const Communicator& communicator, const std::string& where,
                                    const std::function<double(const std::vector<int64_t>&)>& sum);

/// Ends a phase that changed the student's tensors `trained` (shared storage, by their names in a checkpoint): where the
/// trained loss is not below the calibrated one, the calibrated values are put back.
PhaseOutcome keep_if_better(std::optional<double> calibrated_loss, std::optional<double> trained_loss,
                            const Student& calibrated, TensorMap trained);

}  // namespace eidolon
