// What the pixels start from.
#pragma once

#include <string>

#include "base/tensor.h"
#include "job/job.h"
#include "model/preprocessing.h"
#include "synthesis/unit.h"

namespace eidolon {

/// Per channel: the normalised values of black and white, 1 x C x 1 x 1.
struct PixelRange {
  Tensor lowest, highest;
};
PixelRange valid_pixels(const Preprocessing& preprocessing, at::TensorOptions options = at::kFloat);

/// Normalised float32 B x C x S x S on the CPU, within the valid range. Each image is a function of (seed, global index)
/// and its kind alone, and its kind one of job.start and the index (job/mixture.h): "gaussian" - N(0, 1) in
/// normalised units, clamped - or a family of procedural/.
Tensor start_pixels(const SynthesisJob& job, const Preprocessing& preprocessing, const Unit& unit);

}  // namespace eidolon
