// A small model, calibrated, with images to train it on: what the tests of strategies start from.
#pragma once

#include <numeric>

#include "finetuning/strategy.h"
#include "quantization/calibration.h"
#include "tests/finetuning/small_model.h"

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
  job.early_rate = 1;
  job.token_units = false;
  return job;
}

struct Setting {
  Communicator communicator = Communicator::world();
  VisionTransformer teacher = small_model();
  Preprocessing preprocessing = small_preprocessing();
  SyntheticImages images = small_images(24, indices(0, 16));
  SyntheticImages held_out = small_images(24, indices(16, 24));
  FinetuningJob job = plain_job();
  Student calibrated = calibrate(teacher, scheme_of(QuantizationJob{}, 2), normalise(preprocessing, images.bytes), {});
  Student student = calibrated.clone();

  StrategyContext context(int64_t cache_bytes = 1 << 20) {
    return {teacher, student, calibrated, images, held_out, preprocessing, job, communicator, cache_bytes};
  }
};

}  // namespace eidolon
