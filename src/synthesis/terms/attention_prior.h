// Attention priors alignment (SARDFQ, arXiv 2412.16553): the class token's attention is pulled towards random Gaussian-mixture
// maps.
#pragma once

#include <vector>

#include "synthesis/terms/term.h"

namespace eidolon {

/// For every image and head of the later half of the attentions, a map over the patches, drawn once and fixed.
struct AttentionPrior {
  int64_t first = 0;         ///< index of the first attention that has maps
  int64_t depth = 0;         ///< attentions of the teacher
  std::vector<Tensor> maps;  ///< per attention from `first` on: float32 B x H x P, each summing to 1

  AttentionPrior to(at::Device device) const;
};

/// A map is the element-wise maximum of K ~ U{1..5} axis-aligned Gaussians of amplitude 1, centres uniform over the patch grid,
/// sigma ~ U(0.025, 0.125) x grid side.
AttentionPrior draw_attention_prior(uint64_t seed, const std::vector<Attention>& attention, const Unit& unit);

/// The same on the teacher's device; within windows as shares of what each token's window holds.
AttentionPrior drawn_prior(const SynthesisTeacher& teacher, uint64_t seed, const Unit& unit);

/// sum over attentions and heads of (l / L) * MSE(class row over the patches, map * (1 - x0)), l counted from 1; one value per
/// image. rows: per map of the prior, B x H x N, the class token's row of the probabilities, whose last P entries are the
/// patches'. x0 is the share of the tokens in front of the patches in the current rows (detached).
Tensor prior_loss(const AttentionPrior& prior, const std::vector<Tensor>& rows);

/// How much the attained attention follows its own prior: mean over attentions and heads of correlation(row, own map) minus
/// correlation(row, map of the next image in the unit); one value per image. Near 0: the prior does not act, whatever its loss
/// says.
Tensor prior_alignment(const AttentionPrior& prior, const std::vector<Tensor>& rows);

/// Figure "alignment": prior_alignment().
DrawnTerm draw_prior_term(const TermContext& context);

}  // namespace eidolon
