#include "synthesis/objective.h"

#include "synthesis/crops.h"
#include "synthesis/total_variation.h"

namespace eidolon {
namespace {

/// -sum_c T_c log p_c, per row.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets) {
  return -(targets * logits.log_softmax(-1, at::kFloat)).sum(-1);
}

bool uses_prior(const SynthesisJob& job) {
  return job.prior_weight.value_or(1.0) != 0.0;
}

}  // namespace

UnitObjective draw_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit) {
  const Architecture& architecture = teacher.model.architecture;
  return {draw_semantic_targets(job, architecture, unit).to(teacher.device()),
          draw_attention_prior(job, architecture, unit).to(teacher.device()),
          draw_variation_targets(job, teacher.preprocessing, unit).to(teacher.device())};
}

LossTerms evaluate_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                             const Tensor& pixels) {
  const int64_t batch = pixels.size(0);
  const SemanticTargets& semantics = objective.semantics;
  const bool with_crops = semantics.crops() > 0 && job.crop_weight != 0.0;
  const Tensor views = with_crops ? at::cat({pixels, enlarged_quadrants(pixels, semantics.crop_quadrants)}) : pixels;

  LossTerms terms;
  std::vector<Tensor> rows;
  // Only the class token's row of the whole images is kept: B x H x N of the B+M x H x N x N that attention computes.
  const Tap read_attention = [&](NodeId node, const Tensor& tensor) {
    if (node.kind == NodeKind::probabilities && node.block >= objective.prior.first_block) {
      rows.push_back(tensor.narrow(0, 0, batch).select(2, 0));
    }
    return tensor;
  };
  const Tensor logits = forward(teacher.model, views.to(teacher.precision()), read_attention);

  terms.semantic = soft_cross_entropy(logits.narrow(0, 0, batch), semantics.image_targets);
  if (with_crops) {
    const Tensor per_crop = soft_cross_entropy(logits.narrow(0, batch, semantics.crops()), semantics.crop_targets);
    terms.crops = at::mv(semantics.crop_shares, per_crop);
  }
  if (uses_prior(job)) terms.prior = prior_loss(objective.prior, rows, teacher.model.architecture.depth);
  terms.variation = total_variation_loss(pixels, objective.variation_targets);
  for (const Tensor& row : rows) terms.attention_rows.push_back(row.detach());
  return terms;
}

Tensor weighted_sum(const LossTerms& terms, const SynthesisJob& job, const Preprocessing& preprocessing) {
  Tensor loss = terms.semantic * job.semantic_weight;
  if (terms.crops.defined()) loss = loss + terms.crops * job.crop_weight;
  if (terms.prior.defined()) loss = loss + terms.prior * job.prior_weight.value();
  if (job.variation_weight != 0.0) loss = loss + terms.variation * (job.variation_weight / variation_scale(preprocessing));
  return loss.sum();
}

LossTable loss_table(const LossTerms& terms, const UnitObjective& objective) {
  const Tensor& targets = objective.semantics.image_targets;
  const Tensor floor = -(targets * targets.clamp_min(1e-30).log()).sum(-1);
  const Tensor absent = at::zeros_like(terms.semantic);
  const auto column = [&](const Tensor& term) { return (term.defined() ? term : absent).detach().to(at::kCPU, at::kFloat); };
  return {at::stack({column(terms.prior), column(terms.semantic), column(floor), column(terms.crops), column(terms.variation),
                     column(prior_alignment(objective.prior, terms.attention_rows))},
                    1)
              .contiguous(),
          {"prior", "semantic", "semantic_floor", "crops", "variation", "alignment"}};
}

}  // namespace eidolon
