// End-to-end distillation: the whole student learns the teacher's output and the outputs of its sections.
#pragma once

#include "finetuning/phase.h"

namespace eidolon {

/// How long and how fast: of the only phase (method = "distill"), or of the one after block-wise reconstruction.
struct DistillationLength {
  int64_t iterations = 0;
  double learning_rate = 0;  ///< in quantizer steps per iteration
};

/// One phase, "distill". Loss of an image = divergence of the outputs (model/readout.h) + feature weight x the mean, over the
/// sections between the first and the last, of the squared errors of their outputs per token and channel, in units of each
/// token's deviation. Weights, biases and, with rates above 0, scales are trained, on a stream of images
/// (finetuning/image_stream.h). Ten times on the way the divergence on the held-out images is asked, and the best state is the
/// end; without held-out images the last one is.
Phase distillation_phase(const FinetuningJob& job, const DistillationLength& length, const Models& models,
                         const PhaseImages& images, const Communicator& communicator, const CacheBudget& budget);

}  // namespace eidolon
