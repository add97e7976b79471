// Images of less detail than their number of pixels could hold.
#pragma once

#include "base/tensor.h"
#include "job/job.h"
#include "synthesis/unit.h"

namespace eidolon {

/// The unit's images as if each had been enlarged by a factor from 1 to job.enlargement, drawn log-uniformly from seed and
/// global index: means over areas, then cubic interpolation back to their size. `pixels`: float32 B x C x S x S, normalised.
/// Photographs are of any sharpness: small ones enlarged for a teacher, scans, pictures out of focus.
Tensor as_enlarged(const SynthesisJob& job, const Unit& unit, const Tensor& pixels);

}  // namespace eidolon
