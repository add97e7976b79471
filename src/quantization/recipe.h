// Recipes: what a student is made for, as the quantizer of each node.
#pragma once

#include <optional>
#include <string>

#include "job/job.h"
#include "model/plan.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// The quantizer that a recipe other than "research" puts on a node; nothing: it stays float. In every recipe query, key, value
/// and probabilities stay float, and so do norms, activation functions, residual sums and biases, because runtimes compute
/// these in float anyway.
///
///            layers' weights          layers' inputs            head                  embedding of the image
///   int8     int8 per output          int8 per tensor           as the layers         int8 per output and colour
///   w4a8     int4 per block           int8 per tensor           as in int8            as in int8
///   w4a16    int4 per block           float                     int8 weight           as in int8
///   fp8      E4M3 per output          E4M3 per tensor           float                 float
///   mxfp8    E4M3 per 32, E8M0        the same, from the values float                 float
///   mxfp4    E2M1 per 32, E8M0        the same, from the values float                 float
///   nvfp4    E2M1 per 16, E4M3        the same, from the values float                 float
///
/// Integer weights have no zero point. Inputs may have one: `eidolon export` turns it into a shift. Scales of INT4 blocks are
/// float16 numbers.
std::optional<QuantizerSpec> recipe_spec(const QuantizationJob& job, const Plan& plan, NodeId node);

/// Whether the recipe has int4 and the network no matrix for it: then every weight has the eight bits of `int8`.
bool misses_int4(const QuantizationJob& job, const Plan& plan);

/// float_channels of the job where its recipe reads it; otherwise 0.
int64_t most_float_channels(const QuantizationJob& job);

}  // namespace eidolon
