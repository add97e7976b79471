// Attention priors alignment (SARDFQ, arXiv 2412.16553): the class token's attention is pulled towards random Gaussian-mixture
// maps.
#pragma once

#include <vector>

#include "base/tensor.h"
#include "job/job.h"
#include "model/plan.h"
#include "synthesis/unit.h"

namespace eidolon {

/// For every image, block and head of the later half, a map over the patches, drawn once and fixed.
struct AttentionPrior {
  int first_block = 0;
  std::vector<Tensor> maps;  ///< per block: float32 B x H x P, each summing to 1

  AttentionPrior to(at::Device device) const;
};

/// A map is the element-wise maximum of K ~ U{1..5} axis-aligned Gaussians of amplitude 1, centres uniform over the patch grid,
/// sigma ~ U(0.025, 0.125) x grid side.
AttentionPrior draw_attention_prior(const SynthesisJob& job, const Plan& plan, const Unit& unit);

/// sum over blocks and heads of (l / L) * MSE(class row over the patches, map * (1 - x0)), l counted from 1; one value per
/// image. rows: per block of the prior, B x H x (1 + P), the class token's row of the attention probabilities. x0 is the share
/// that the class token keeps for itself in the current rows (detached).
Tensor prior_loss(const AttentionPrior& prior, const std::vector<Tensor>& rows, int64_t depth);

/// How much the attained attention follows its own prior: mean over blocks and heads of correlation(row, own map) minus
/// correlation(row, map of the next image in the unit); one value per image. Near 0: the prior does not act, whatever its loss
/// says.
Tensor prior_alignment(const AttentionPrior& prior, const std::vector<Tensor>& rows);

}  // namespace eidolon
