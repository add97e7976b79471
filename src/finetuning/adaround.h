// AdaRound (Nagel et al., ICML 2020, arXiv 2004.10568): learns for every weight whether it is rounded down or up.
//
// A variable V per weight gives h(V) = clamp(1.2 sigmoid(V) - 0.1, 0, 1), equation 23, and the soft weight
// s clamp(floor(w / s) + h(V), lowest, highest), equation 22. It starts where h(V) is what floor cut off, so that the soft
// weight is the unrounded one. A penalty drives h(V) to 0 or 1. The range of a weight's motion is its two neighbours on the
// grid, whatever the images ask for.
#pragma once

#include <optional>
#include <vector>

#include "finetuning/trainable.h"
#include "quantization/student.h"

namespace eidolon {

Tensor rectified_sigmoid(const Tensor& variable);              ///< h(V), in [0, 1]
Tensor rounding_variable_of(const Tensor& fraction);           ///< V of h(V) = fraction, for 0 <= fraction < 1
Tensor rounding_penalty(const Tensor& variable, double beta);  ///< sum of 1 - |2 h(V) - 1|^beta, equation 24

/// beta falls from 20 to 2 in a line; nothing in the first fifth of the steps, in which there is no penalty.
std::optional<double> penalty_exponent(int64_t step, int64_t steps);

/// One weight whose rounding is learned.
struct LearnedRounding {
  NodeId weight;
  Tensor below;     ///< floor(w / s) of the calibrated weight, as a grid index
  Tensor variable;  ///< V, a leaf that requires gradients
};

/// Of every weight that has a quantizer. From the calibrated student alone, which a resumed phase sees unchanged.
std::vector<LearnedRounding> learned_roundings(const Student& calibrated, const std::vector<NodeId>& weights);

/// Transient, named "rounding/blocks.3.attn.qkv.weight".
std::vector<Trainable> trainable_roundings(const std::vector<LearnedRounding>& roundings, const Plan& plan, double rate);

Tensor soft_weight(const LearnedRounding& rounding, const Quantizer& quantizer);  ///< differentiable in V and the scale
Tensor hard_weight(const LearnedRounding& rounding, const Quantizer& quantizer);  ///< on the grid: rounding it changes nothing

/// The student's Tap with soft weights in the place of rounded ones.
Tap soft_weight_tap(const Student& student, const std::vector<LearnedRounding>& roundings);

}  // namespace eidolon
