#include "model/token_units.h"

namespace eidolon {
namespace {

constexpr double smallest_deviation = 1e-6;

}  // namespace

Tensor token_deviation(const Tensor& target) {
  if (target.dim() != 3) return at::ones({1}, target.options());
  return target.std(-1, /*unbiased=*/false, /*keepdim=*/true).clamp_min_(smallest_deviation);
}

Tensor in_token_units(const Tensor& error, const Tensor& target) {
  return error / token_deviation(target);
}

}  // namespace eidolon
