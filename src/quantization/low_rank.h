// A product of low rank beside the rounded weight, y = Q(W) x + L (R x): it mends what rounding breaks. After ASER (Zhao et
// al., AAAI 2025, arXiv 2411.07762), whose formulas for the choice of channels and ranks were not at hand; those below are
// ours.
#pragma once

#include <cstdint>
#include <map>

#include "base/tensor.h"
#include "model/network.h"
#include "quantization/gram.h"
#include "quantization/quantizer.h"

namespace eidolon {

inline constexpr int64_t half_bits = 16, byte_bits = 8;  ///< of factors in float16 and in integers

struct LowRankSettings {
  int64_t rank = 16;          ///< of a layer's branch, at most
  double share = 1;           ///< of the sum of the singular values; the fewest that have it are kept
  int64_t whole_columns = 0;  ///< input channels, large in input and weight, whose weights leave the rounded part
  bool compensated = false;   ///< what is left to the branch is rounded as compensated_rounding.h does, else to the nearest
};

/// left: m x r, right: r x n, float32; both of the same length in each of the r products.
struct LowRankFactors {
  Tensor left, right;
};

/// The left * right nearest to error^T in the norm of the inputs, sum over rows |x^T (error - right^T left^T)|^2: the leading
/// singular vectors of S^T error, where metric = S S^T.
///  error: n x m, metric: n x n, positive definite; both float64.
LowRankFactors nearest_of_low_rank(const Tensor& error, const Tensor& metric, const LowRankSettings& settings);

/// The inputs' second moments about their mean, damped, n x n: the bias takes up what is constant.
Tensor centred_moments(const Gram& gram);

/// The rounded weight and its branch; without one `rounded` itself.
Tensor with_low_rank(const Tensor& rounded, const Quantizer& quantizer);

/// The branch as a weight of `shape`, with factors as they are stored: float16, or integers of 8 bits with a scale per row.
/// Differentiable in both, the gradient of their rounding taken for 1. The quantizer must have one.
Tensor low_rank_weight(const Quantizer& quantizer, at::IntArrayRef shape);

/// A factor as it is stored in so many bits, and the scales of its rows, float32, where these are 8.
Tensor stored_factor(const Tensor& factor, int64_t bits);
Tensor factor_steps(const Tensor& factor);

/// The linear layers' input channels with the greatest product of root mean squares of input and weight, at most `count` of
/// each, ascending, by the node of the weight. Where a norm stands in front, these channels become as small as the smallest
/// of them, and their weights so much larger: the network computes the same, and its inputs are easier to round.
std::map<NodeId, Tensor> smooth_channels(Network& network, const Tensor& images, int64_t count, int64_t batch);

/// Bits of a weight's factors and their scales; 0 without a branch.
double branch_bits(const Quantizer& quantizer);

/// Bits that the branches add, for each weight of the layers that are rounded; 0 if there are none.
double branch_bits_per_weight(const std::map<NodeId, Quantizer>& quantizers, const Plan& plan);

}  // namespace eidolon
