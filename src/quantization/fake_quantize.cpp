#include <ATen/ExpandUtils.h>

#include "quantization/grid.h"

namespace eidolon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Let y(x, s) be the rounded value. With round passed straight through, all kinds share
///   dy/dx = a    and    dy/ds = (y - a x) / s,
/// where a is 0 for clamped values and otherwise 1 (uniform) or what differentiating k and y gives: y / x (log kinds:
/// y = s 2^(-k) with k = -log2(x / s)), (|y| + s) / (|x| + s) (companded).
class FakeQuantize : public torch::autograd::Function<FakeQuantize> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& scale, const Grid& grid) {
    const Tensor place = nearest_place(x, grid);
    const Tensor clamped = at::clamp_min(place, grid.lowest).clamp_max_(grid.highest);
    // 1 where nothing was clamped, as a float: multiplying by booleans is four times slower on the CPU.
    const Tensor slope = place.eq_(clamped);
    const Tensor y = value_of_(clamped, grid);
    if (const Tensor local = slope_of(x, y, grid); local.defined()) slope.mul_(local);
    if (scale.requires_grad()) {
      context->save_for_backward({slope, x, y, scale});
    } else {
      context->save_for_backward({slope});
    }
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& gradient = gradients[0];
    const Tensor& slope = saved[0];
    variable_list result(3);
    if (context->needs_input_grad(0)) result[0] = gradient * slope;
    if (saved.size() > 1) {
      const Tensor &x = saved[1], &y = saved[2], &scale = saved[3];
      const Tensor terms = at::mul(x, slope).neg_().add_(y).mul_(gradient);
      result[1] = at::sum_to(terms, scale.sizes()) / scale;
    }
    return result;
  }
};

Tensor rounded(const Tensor& x, const Quantizer& quantizer) {
  Grid grid = grid_of(quantizer, x.sizes(), x.scalar_type());
  if (at::GradMode::is_enabled() && (x.requires_grad() || grid.scale.requires_grad())) {
    const Tensor scale = grid.scale;
    grid.scale = scale.detach();
    return FakeQuantize::apply(x, scale, grid);
  }
  return value_of_(nearest_place(x, grid).clamp_min_(grid.lowest).clamp_max_(grid.highest), grid);
}

}  // namespace

Tensor fake_quantize(const Tensor& x, const Quantizer& quantizer) {
  if (!quantizer.spec.of_row_maximum) return rounded(x, quantizer);
  const Tensor maxima = row_maxima(x);
  return rounded(x / maxima, quantizer) * maxima;
}

}  // namespace eidolon
