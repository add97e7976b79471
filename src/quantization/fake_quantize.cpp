#include <ATen/ExpandUtils.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "numerics/cuda_kernel.h"
#include "quantization/float_channels.h"
#include "quantization/low_rank.h"
#include "quantization/quantizer.h"
#include "quantization/run_rounding.h"

namespace eidolon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// y, and dy/dx where asked for, of one element. Comparisons, unlike fmin and fmax, let NaN pass.
const std::string fused_code = R"(
template <typename T> void rounded(T x, T s, T m, T lowest, T highest, T& y) {
  const T index = nearest<T>(x, s, m), raised = index < lowest ? lowest : index;
  y = value<T>(raised > highest ? highest : raised, s, m, highest);
}
template <typename T> void rounded_with_slope(T x, T s, T m, T lowest, T highest, T& y, T& dy_dx) {
  rounded<T>(x, s, m, lowest, highest, y);
  const T index = nearest<T>(x, s, m);
  dy_dx = index >= lowest && index <= highest ? slope<T>(x, y, s) : T(0);
}
)";

std::vector<Tensor> rounded_by_one_kernel(const Tensor& x, const Grid& grid, const Format& format, bool with_slope) {
  const CudaKernel kernel{.name = with_slope ? "rounded_with_slope" : "rounded",
                          .code = format.cuda_code + fused_code,
                          .outputs = with_slope ? 2 : 1};
  const Tensor& companding = grid.companding.defined() ? grid.companding : grid.scale;
  return launch(kernel, {x, grid.scale, companding, grid.lowest, grid.highest});
}

/// y and, where asked for, dy/dx; nothing where it takes several passes.
std::optional<std::vector<Tensor>> in_one_pass(const Tensor& x, const Grid& grid, const Format& format, bool with_slope) {
  if (takes_cuda_kernels(x)) return rounded_by_one_kernel(x, grid, format, with_slope);
  return rounded_in_runs(x, grid, format, with_slope);
}

/// Let y(x, s) be the rounded value. With the gradient of rounding taken for 1, all formats share
///   dy/dx = a    and    dy/ds = (y - a x) / s,
/// where a is 0 for clamped values and otherwise the format's slope.
class FakeQuantize : public torch::autograd::Function<FakeQuantize> {
 public:
  /// y and the slope a.
  static std::pair<Tensor, Tensor> step_by_step(const Tensor& x, const Grid& grid, const Format& format) {
    const Tensor index = format.nearest(x, grid);
    const Tensor clamped = at::clamp_min(index, grid.lowest).clamp_max_(grid.highest);
    // 1 where nothing was clamped, as a float: multiplying by booleans is four times slower on the CPU.
    const Tensor& slope = index.eq_(clamped);
    const Tensor y = format.value_(clamped, grid);
    if (format.slope != nullptr) slope.mul_(format.slope(x, y, grid));
    return {y, slope};
  }

  static std::pair<Tensor, Tensor> both_of(const Tensor& x, const Grid& grid, const Format& format) {
    const auto both = in_one_pass(x, grid, format, /*with_slope=*/true);
    return both ? std::pair{both->front(), both->back()} : step_by_step(x, grid, format);
  }

  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& scale, const Grid& grid,
                        const Format* format) {
    const auto [y, slope] = both_of(x, grid, *format);
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
    variable_list result(4);
    if (context->needs_input_grad(0)) result[0] = gradient * slope;
    if (saved.size() > 1) {
      const Tensor &x = saved[1], &y = saved[2], &scale = saved[3];
      const Tensor terms = at::mul(x, slope).neg_().add_(y).mul_(gradient);
      result[1] = at::sum_to(terms, scale.sizes()) / scale;
    }
    return result;
  }
};

Tensor rounded(const Tensor& x, Grid grid, const Format& format) {
  if (at::GradMode::is_enabled() && (x.requires_grad() || grid.scale.requires_grad())) {
    const Tensor scale = grid.scale;
    grid.scale = scale.detach();
    return FakeQuantize::apply(x, scale, grid, &format);
  }
  if (const auto values = in_one_pass(x, grid, format, /*with_slope=*/false)) return values->front();
  return format.value_(format.nearest(x, grid).clamp_min_(grid.lowest).clamp_max_(grid.highest), grid);
}

Tensor rounded_in_blocks(const Tensor& x, const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  const Tensor blocks = to_blocks(x, spec.scaling);
  Grid grid = grid_of(quantizer, blocks.sizes(), x.scalar_type());
  if (spec.scaling.from_values) {
    const Tensor factor = quantizer.factor.defined() ? quantizer.factor.to(x.scalar_type()) : Tensor();
    grid.scale = block_scales(blocks, spec.scaling, spec.format->highest_value, factor);
  }
  return from_blocks(rounded(blocks, grid, *spec.format), spec.scaling, x.sizes());
}

Tensor all_rounded(const Tensor& x, const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  if (spec.scaling.granularity == Granularity::block) return rounded_in_blocks(x, quantizer);
  if (spec.scaling.granularity != Granularity::row)
    return rounded(x, grid_of(quantizer, x.sizes(), x.scalar_type()), *spec.format);
  const Tensor maxima = row_maxima(x);
  return rounded(x / maxima, grid_of(quantizer, x.sizes(), x.scalar_type()), *spec.format) * maxima;
}

}  // namespace

Tensor fake_quantize(const Tensor& x, const Quantizer& quantizer) {
  return with_low_rank(with_float_channels(all_rounded(x, quantizer), x, quantizer.float_channels), quantizer);
}

}  // namespace eidolon
