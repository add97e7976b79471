// Closed-form correction of a calibrated section: its linear layers, one after the other, are fitted to the teacher on the
// inputs that the quantized student really gives them. After ERQ (Zhong et al., ICML 2024, arXiv 2407.06794).
#pragma once

#include <string>

#include "quantization/range_search.h"
#include "quantization/student.h"

namespace eidolon {

enum class Correction {
  none,
  bias,   ///< the mean error of each output goes into the bias (quantization/bias_correction.h)
  ridge,  ///< ridge regression against the error of the inputs, then rounding that compensates for itself
};
Correction correction_method(const std::string& name);  ///< "none" | "bias" | "ridge"; else BadInput

struct CorrectionSettings {
  Correction method = Correction::none;
  double ridge = 1.0;                    ///< penalty on changed weights (quantization/ridge_correction.h)
  RangeMethod range = RangeMethod::mse;  ///< of the corrected weights
  int64_t batch = 16;                    ///< images per forward pass
};

/// What stands in front of a section for the same images, as forward_section() takes it.
struct SectionInputs {
  Tensor teacher;  ///< of the full-precision teacher
  Tensor student;  ///< of the student, every section before this one quantized and corrected
};

/// Walks the section's linear layers in the order of the forward pass. Each is fitted to the teacher's outputs on the teacher's
/// own inputs, so that it also makes up for what the layers before it got wrong. With `ridge` the range of its weights is
/// searched anew and they end exactly on their grid, from which the Tap's rounding does not move them; a layer whose weights
/// have no quantizer is corrected and stays float. A layer's inputs are not held: their moments are summed batch by batch, in
/// float64 (quantization/gram.h).
void correct_section(Student& student, const VisionTransformer& teacher, int section, const SectionInputs& inputs,
                     const CorrectionSettings& settings);

}  // namespace eidolon
