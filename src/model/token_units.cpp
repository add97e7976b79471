#include "model/token_units.h"

namespace eidolon {
namespace {

constexpr double smallest_deviation = 1e-6;

}  // namespace

Tensor token_deviation(const Tensor& target, Layout layout) {
  if (layout != Layout::tokens) return at::ones({1}, target.options());
  return target.std(-1, /*unbiased=*/false, /*keepdim=*/true).clamp_min_(smallest_deviation);
}

Tensor in_token_units(const Tensor& error, const Tensor& target, Layout layout) {
  return error / token_deviation(target, layout);
}

}  // namespace eidolon
