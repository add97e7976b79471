// Ridge regression against the error of quantized inputs: "Aqer" of ERQ (Zhong et al., ICML 2024, arXiv 2407.06794).
#pragma once

#include "quantization/gram.h"

namespace eidolon {

/// The Gram matrix plus the penalty lambda on every input but the constant one:
///   H = sum of a^T a + diag(lambda, ..., lambda, 0),   lambda = ridge (1 + 10 n / rows) q
/// where q is the mean of the first n diagonal entries of the sum. Relative to the data's own scale and to the rows' units, so
/// that one number serves every layer and the result does not change when all units do. As if there were 10 n rows more than
/// there are, because with few rows for many weights (a head sees one per image) the fit would follow them and not the layer.
/// H is positive definite for ridge > 0, also with inputs that are always 0, whose weights then stay as they are.
Tensor regularized(const Gram& gram, double ridge);

/// The map nearest to `map` that undoes what it can of the error: it minimises sum |y - a M|^2 + lambda |W_M - W_map|^2 by
///   M = map + H^-1 (sum of a^T y - (sum of a^T a) map).
Tensor ridge_corrected(const Gram& gram, const Tensor& map, double ridge);

}  // namespace eidolon
