#include "finetuning/adaround.h"

#include "base/error.h"
#include "quantization/low_rank.h"

namespace eidolon {
namespace {

constexpr double zeta = 1.1, gamma = -0.1;  ///< the sigmoid is stretched to reach 0 and 1 where its slope does not vanish
constexpr double first_beta = 20, last_beta = 2, warmup = 0.2;

/// fraction: how far above `below`, in [0, 1].
Tensor value_above(const LearnedRounding& rounding, const Tensor& fraction, const Quantizer& quantizer) {
  const Grid grid = grid_of(quantizer, rounding.below.sizes(), rounding.below.scalar_type());
  const Tensor index = at::clamp_max(at::clamp_min(rounding.below + fraction, grid.lowest), grid.highest);
  return index * grid.scale;
}

}  // namespace

Tensor rectified_sigmoid(const Tensor& variable) {
  return (variable.sigmoid() * (zeta - gamma) + gamma).clamp(0, 1);
}

Tensor rounding_variable_of(const Tensor& fraction) {
  return ((fraction - gamma) / (zeta - gamma)).logit();
}

Tensor rounding_penalty(const Tensor& variable, double beta) {
  return (1 - (2 * rectified_sigmoid(variable) - 1).abs().pow(beta)).sum();
}

std::optional<double> penalty_exponent(int64_t step, int64_t steps) {
  const double start = warmup * static_cast<double>(steps);
  if (static_cast<double>(step) < start) return std::nullopt;
  const double passed = (static_cast<double>(step) - start) / (static_cast<double>(steps) - start);
  return first_beta + (last_beta - first_beta) * passed;
}

std::vector<LearnedRounding> learned_roundings(const Student& calibrated, const std::vector<NodeId>& weights) {
  const at::NoGradGuard no_gradients;
  std::vector<LearnedRounding> roundings;
  for (const NodeId node : weights) {
    const auto quantizer = calibrated.quantizers.find(node);
    if (quantizer == calibrated.quantizers.end()) continue;
    if (!quantizer->second.spec.format->is_uniform || quantizer->second.spec.scaling.granularity == Granularity::block) {
      throw BadInput("finetuning.rounding = \"adaround\" learns which way to round on even steps per channel, but '" +
                     calibrated.model.plan->name(node) + "' has others; use quantization.weight_format = \"integer\"");
    }
    const Tensor& weight = calibrated.model[node];
    const Tensor index = weight / grid_of(quantizer->second, weight.sizes(), weight.scalar_type()).scale;
    const Tensor below = index.floor();
    roundings.push_back({node, below, rounding_variable_of(index - below).requires_grad_(true)});
  }
  return roundings;
}

std::vector<Trainable> trainable_roundings(const std::vector<LearnedRounding>& roundings, const Plan& plan, double rate) {
  std::vector<Trainable> result;
  for (const LearnedRounding& rounding : roundings) {
    const Tensor& variable = rounding.variable;
    result.push_back({"rounding/" + plan.name(rounding.weight), variable,
                      at::scalar_tensor(rate, variable.options().requires_grad(false)), AdamMoments::zeros_like(variable),
                      true});
  }
  return result;
}

Tensor soft_weight(const LearnedRounding& rounding, const Quantizer& quantizer) {
  return value_above(rounding, rectified_sigmoid(rounding.variable), quantizer);
}

Tensor hard_weight(const LearnedRounding& rounding, const Quantizer& quantizer) {
  const at::NoGradGuard no_gradients;
  const Tensor up = at::ge(rectified_sigmoid(rounding.variable), 0.5).to(rounding.below.scalar_type());
  return value_above(rounding, up, quantizer);
}

Tap soft_weight_tap(const Student& student, const std::vector<LearnedRounding>& roundings) {
  return [&student, &roundings, quantize = quantizing_tap(student)](NodeId node, const Tensor& tensor) {
    for (const LearnedRounding& rounding : roundings) {
      if (rounding.weight != node) continue;
      const Quantizer& quantizer = student.quantizers.at(node);
      return with_low_rank(soft_weight(rounding, quantizer), quantizer);
    }
    return quantize(node, tensor);
  };
}

}  // namespace eidolon
