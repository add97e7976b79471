// The student as float32 values, and how its inputs are rounded.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "exporting/deployment.h"
#include "model/loading/published_folder.h"

namespace eidolon {

/// All parameters in float32 under the library's names. `deployment` has its shifts kept.
TensorMap torch_tensors(const Deployment& deployment, const PublishedFolder& folder);

/// {"inputs": {module: ROUNDING}, "left_out": names of rounded nodes that are no input of a linear layer}. ROUNDING has, of
///   even steps             "step", "lowest", "highest" (codes), "zero_point"
///   companded              the same and "companding"
///   floating point         "step" and "values": the format's magnitudes in steps, ascending
///   the same in blocks     "block" (values that share a scale), "stored" ("e8m0" or "e4m3"), "factor" (of e4m3) and "values"
/// and "float_channels", which pass unrounded, where the layer has them.
nlohmann::ordered_json rounded_inputs(const Deployment& deployment, const PublishedFolder& folder);

}  // namespace eidolon
