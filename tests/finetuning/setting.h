// A small model, calibrated, with images to train it on: what the tests of phases start from.
#pragma once

#include <numeric>

#include "finetuning/distillation.h"
#include "finetuning/reconstruction.h"
#include "quantization/calibration.h"
#include "tests/finetuning/small_model.h"
#include "tests/research_job.h"

namespace eidolon {

inline std::vector<int64_t> indices(int64_t first, int64_t end) {
  std::vector<int64_t> result(static_cast<size_t>(end - first));
  std::iota(result.begin(), result.end(), first);
  return result;
}

/// Neither mixing nor importance nor token units: the plain squared error.
inline FinetuningJob plain_job() {
  FinetuningJob job;
  job.input_mix = 0;
  job.importance = "none";
  job.learning_rate_multiplier = 1;
  job.token_units = false;
  return job;
}

constexpr CacheBudget plenty{.in_all = 1 << 30, .on_device = 1 << 30};

struct Setting {
  Communicator communicator = Communicator::world();
  Network teacher = small_model();
  Preprocessing preprocessing = small_preprocessing();
  SyntheticImages images = small_images(24, indices(0, 16));
  SyntheticImages held_out = small_images(24, indices(16, 24));
  FinetuningJob job = plain_job();
  Student calibrated = calibrate(teacher, scheme_of(research_job(), *teacher.plan), small_input(images.bytes), {});
  Student student = calibrated.clone();

  Models models() { return {.teacher = teacher, .student = student, .calibrated = calibrated}; }
  PhaseImages phase_images() const { return {.training = images, .held_out = held_out, .preprocessing = preprocessing}; }

  /// Of block-wise reconstruction.
  std::vector<Phase> phases() { return reconstruction_phases(job, models(), phase_images(), communicator, plenty); }

  Phase distillation(const DistillationLength& length) {
    return distillation_phase(job, length, models(), phase_images(), communicator, plenty);
  }
};

}  // namespace eidolon
