// Attention priors alignment (SARDFQ, arXiv 2412.16553): the class token's attention is pulled towards random Gaussian-mixture
// maps.
#pragma once

#include <vector>

#include "base/tensor.h"
#include "job/job.h"
#include "model/architecture.h"
#include "synthesis/unit.h"

namespace eidolon {

/// For every image, block and head of the later half, a map over the patches, drawn once and fixed.
struct AttentionPrior {
  int first_block = 0;
  std::vector<Tensor> maps;            ///< per block: float32 B x H x P, each summing to 1
  std::vector<Tensor> self_attention;  ///< per block: float32 B x H, x0 ~ U(0,1); empty for the law "current"

  AttentionPrior to(at::Device device) const;
};

/// A map is the element-wise maximum of K ~ U{1..prior_components} axis-aligned Gaussians of amplitude 1, centres uniform over
/// the patch grid, sigma ~ U(0.05, 0.25) x grid side x prior_sigma_scale.
AttentionPrior draw_attention_prior(const SynthesisJob& job, const Architecture& architecture, const Unit& unit);

/// sum over blocks and heads of (l / L) * MSE(class row over the patches, map * (1 - x0)), l counted from 1; one value per
/// image. rows: per block of the prior, B x H x (1 + P), the class token's row of the attention probabilities. x0 is the share
/// that the class token keeps for itself: of the current rows (detached), or drawn.
Tensor prior_loss(const AttentionPrior& prior, const std::vector<Tensor>& rows, int64_t depth);

/// How much the attained attention follows its own prior: mean over blocks and heads of correlation(row, own map) minus
/// correlation(row, map of the next image in the unit); one value per image. Near 0: the prior does not act, whatever its loss
/// says.
Tensor prior_alignment(const AttentionPrior& prior, const std::vector<Tensor>& rows);

}  // namespace eidolon
