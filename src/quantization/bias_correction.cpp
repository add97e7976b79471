#include "quantization/bias_correction.h"

#include <algorithm>

namespace eidolon {

InputSums empty_sums(int64_t inputs, at::Device device) {
  const at::TensorOptions options = at::TensorOptions(device).dtype(at::kDouble);
  return {at::zeros({inputs}, options), at::zeros({inputs}, options), at::zeros({}, options)};
}

void accumulate(InputSums& sums, const Tensor& exact, const Tensor& rounded, const Tensor& units) {
  for (int64_t first = 0; first < exact.size(0); first += rows_at_once) {
    const int64_t last = std::min(first + rows_at_once, exact.size(0));
    const auto rows = [&](const Tensor& tensor) { return tensor.slice(0, first, last).to(at::kDouble); };
    if (units.defined()) {
      const Tensor weights = rows(units).square().reciprocal().flatten();
      sums.exact.addmv_(rows(exact).t(), weights);
      sums.rounded.addmv_(rows(rounded).t(), weights);
      sums.weight.add_(weights.sum());
    } else {
      sums.exact.add_(rows(exact).sum(0));
      sums.rounded.add_(rows(rounded).sum(0));
      sums.weight.add_(last - first);
    }
  }
}

Tensor mean_error(const InputSums& sums, const Tensor& weight, const Tensor& rounded_weight) {
  const auto outputs = [](const Tensor& map, const Tensor& input) { return at::mv(map.flatten(1).to(at::kDouble), input); };
  return (outputs(weight, sums.exact) - outputs(rounded_weight, sums.rounded)) / sums.weight;
}

Tensor bias_corrected(const Gram& gram, const Tensor& map) {
  const int64_t bias = map.size(0) - 1;
  const Tensor sums = gram.inputs[bias];  // of every input, and last of the rows' weights
  const Tensor missing = gram.outputs[bias] - at::mv(map.t(), sums);
  Tensor corrected = map.clone();
  corrected[bias] += missing / sums[bias];
  return corrected;
}

}  // namespace eidolon
