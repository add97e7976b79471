#include "quantization/bias_correction.h"

namespace eidolon {

Tensor bias_corrected(const Gram& gram, const Tensor& map) {
  const int64_t bias = map.size(0) - 1;
  const Tensor sums = gram.inputs[bias];  // of every input, and last the number of rows
  const Tensor missing = gram.outputs[bias] - at::mv(map.t(), sums);
  Tensor corrected = map.clone();
  corrected[bias] += missing / sums[bias];
  return corrected;
}

}  // namespace eidolon
