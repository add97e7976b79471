// Closed-form correction of a calibrated section: its linear layers, one after the other, are fitted to what they would give
// without rounding, on the inputs that the quantized student really gives them. After ERQ (Zhong et al., ICML 2024, arXiv
// 2407.06794).
#pragma once

#include <map>
#include <string>

#include "quantization/low_rank.h"
#include "quantization/student.h"

namespace eidolon {

enum class Correction {
  none,
  bias,      ///< the mean error of each output goes into the bias (quantization/bias_correction.h)
  rounding,  ///< that, and weights whose rounding compensates for itself (quantization/compensated_rounding.h)
  low_rank,  ///< that of the bias, and a product of low rank beside the rounded weights (quantization/low_rank.h)
  ridge,     ///< the same rounding behind ridge regression against the error of the inputs (quantization/ridge_correction.h)
};
Correction correction_method(const std::string& name);  ///< "none" | "bias" | "rounding" | "low_rank" | "ridge"; else BadInput

struct CorrectionSettings {
  Correction method = Correction::none;
  double ridge = 0.3;  ///< penalty on changed weights (quantization/ridge_correction.h)
  int64_t batch = 16;  ///< images per forward pass
  LowRankSettings low_rank = {};
  std::map<NodeId, Tensor> whole_columns = {};  ///< by the node of a weight: what smooth_channels() chose
};

/// Walks the section's linear layers in the order of the forward pass. Each is fitted, from its rounded inputs, to its own
/// output before any rounding of inputs or weights: to undo what its own quantizers do, and not what the sections before it got
/// wrong, which on synthetic images is another error than on photographs. Where a layer writes to the residual stream, a
/// token's error counts in units of its deviation (model/token_units.h). With `rounding` and `ridge` the range of its weights
/// is searched anew, and each ends within 0.45 steps of the grid index chosen for it, to which the Tap rounds it; a layer whose
/// weights have no quantizer is corrected and stays float.
///  inputs: images or tokens in front of the section, as forward_section() takes them, every section before it quantized and
///  corrected. A layer's inputs are not held: their moments are summed batch by batch in float64 (quantization/gram.h; for
///  `bias` the sums of quantization/bias_correction.h). Each layer takes a pass of its own, since correcting the layers before
///  it changes what it is given.
void correct_section(Student& student, int section, const Tensor& inputs, const CorrectionSettings& settings);

}  // namespace eidolon
