// Bias correction: the mean error of each output channel goes into the bias (Nagel et al., ICCV 2019, arXiv 1906.04721).
#pragma once

#include "quantization/gram.h"

namespace eidolon {

/// `map` with the bias for which the outputs' mean over the Gram's rows is the mean of the outputs wanted.
Tensor bias_corrected(const Gram& gram, const Tensor& map);

}  // namespace eidolon
