#include "quantization/gram.h"

#include <algorithm>

namespace eidolon {

Tensor affine_map(const Tensor& weight, const Tensor& bias) {
  return at::cat({weight.flatten(1), bias.unsqueeze(1)}, 1).to(at::kDouble).t().contiguous();
}

Gram empty_gram(int64_t inputs, int64_t outputs, at::Device device) {
  const at::TensorOptions options = at::TensorOptions(device).dtype(at::kDouble);
  return {at::zeros({inputs + 1, inputs + 1}, options), at::zeros({inputs + 1, outputs}, options), at::zeros({}, options)};
}

void accumulate(Gram& gram, const Tensor& x, const Tensor& y, const Tensor& units) {
  for (int64_t first = 0; first < x.size(0); first += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, x.size(0) - first);
    Tensor a = at::constant_pad_nd(x.narrow(0, first, rows).to(at::kDouble), {0, 1}, 1.0);
    Tensor wanted = y.narrow(0, first, rows).to(at::kDouble);
    if (units.defined()) {
      a = a / units.narrow(0, first, rows);
      wanted = wanted / units.narrow(0, first, rows);
    }
    gram.inputs.addmm_(a.t(), a);
    gram.outputs.addmm_(a.t(), wanted);
    gram.energy.add_(wanted.square().sum());
  }
  gram.rows += x.size(0);
}

double squared_error(const Gram& gram, const Tensor& map) {
  const Tensor cross = (gram.outputs * map).sum(), own = (at::mm(gram.inputs, map) * map).sum();
  return (gram.energy - 2 * cross + own).item<double>();
}

}  // namespace eidolon
