#include "synthesis/objective.h"

#include <algorithm>

#include "base/error.h"
#include "synthesis/crops.h"
#include "synthesis/head_similarity.h"
#include "synthesis/patch_entropy.h"
#include "synthesis/total_variation.h"

namespace eidolon {
namespace {

/// -sum_c T_c log p_c, per row.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets) {
  return -(targets * logits.log_softmax(-1, at::kFloat)).sum(-1);
}

bool uses_prior(const SynthesisJob& job) {
  return job.method == "sardfq" && job.sardfq.prior_weight.value_or(1.0) != 0.0;
}

bool uses_crops(const SynthesisJob& job) {
  return most_crops(job) > 0;
}

double entropy_weight(const SynthesisJob& job) {
  return job.method == "psaq" ? job.psaq.entropy_weight : 0.0;
}

double head_similarity_weight(const SynthesisJob& job) {
  return job.method == "psaq" ? job.psaq.head_similarity_weight : 0.0;
}

void check_terms(const SynthesisJob& job, const Plan& plan) {
  const auto has_one_head = [](const Attention& attention) { return attention.heads < 2; };
  if (head_similarity_weight(job) != 0.0 && std::ranges::any_of(plan.attention, has_one_head)) {
    throw BadInput("synthesis.psaq.head_similarity_weight compares attention heads, but the teacher has one; set it to 0");
  }
}

/// What the terms read inside the teacher, of the whole images alone.
struct Readings {
  std::vector<Tensor> rows;           ///< the class token's attention in the prior's blocks, B x H x N
  std::vector<Tensor> mixed;          ///< outputs of the heads, B x N x D
  std::vector<Tensor> queries, keys;  ///< B x H x N x D/H
};

/// Only what is used is kept: of attention's B+M x H x N x N probabilities the B x H x N of the class token.
Tap reader(Readings& readings, const SynthesisJob& job, const Plan& plan, const AttentionPrior& prior, int64_t batch) {
  const bool rows = uses_prior(job), mixed = entropy_weight(job) != 0.0, products = head_similarity_weight(job) != 0.0;
  if (!rows && !mixed && !products) return {};
  return [&readings, &plan, rows, mixed, products, first_block = prior.first_block, batch](NodeId node, const Tensor& tensor) {
    const auto whole = [&] { return tensor.narrow(0, 0, batch); };
    for (size_t block = 0; block < plan.attention.size(); ++block) {
      const Attention& attention = plan.attention[block];
      const bool in_prior = static_cast<int>(block) >= first_block;
      if (rows && in_prior && node == attention.probabilities) readings.rows.push_back(whole().select(2, 0));
      if (mixed && node == plan.products[attention.proj].input) readings.mixed.push_back(whole());
      if (products && node == attention.query) readings.queries.push_back(whole());
      if (products && node == attention.key) readings.keys.push_back(whole());
    }
    return tensor;
  };
}

/// The terms that look through the teacher.
void evaluate_views(LossTerms& terms, const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                    const Tensor& pixels, const Views& through) {
  const SemanticTargets& semantics = objective.semantics;
  const Plan& plan = *teacher.model.plan;
  const int64_t batch = pixels.size(0);
  std::vector<Tensor> views{seen_through(through, pixels)};
  if (uses_crops(job)) views.push_back(enlarged_quadrants(pixels, semantics.crop_quadrants));

  Readings readings;
  const Tap tap = reader(readings, job, plan, objective.prior, batch);
  const Tensor logits = forward(teacher.model, at::cat(views).to(teacher.precision()), tap);
  terms.semantic = soft_cross_entropy(logits.narrow(0, 0, batch), semantics.image_targets);
  if (uses_crops(job)) {
    const Tensor per_crop = soft_cross_entropy(logits.narrow(0, batch, semantics.crops()), semantics.crop_targets);
    terms.crops = at::mv(semantics.crop_shares, per_crop);
  }
  if (uses_prior(job)) terms.prior = prior_loss(objective.prior, readings.rows, static_cast<int64_t>(plan.attention.size()));
  if (entropy_weight(job) != 0.0) {
    terms.entropy = patch_entropy_loss(readings.mixed, plan.attention.front().heads, job.psaq.entropy_form);
  }
  if (head_similarity_weight(job) != 0.0) terms.head_similarity = head_similarity_loss(readings.queries, readings.keys);
  for (const Tensor& row : readings.rows) terms.attention_rows.push_back(row.detach());
}

}  // namespace

UnitObjective draw_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit) {
  const Plan& plan = *teacher.model.plan;
  check_terms(job, plan);
  UnitObjective objective;
  objective.unit = unit;
  objective.semantics = draw_semantic_targets(job, plan, unit).to(teacher.device());
  if (uses_prior(job)) objective.prior = draw_attention_prior(job, plan, unit).to(teacher.device());
  objective.variation_targets = draw_variation_targets(job, teacher.preprocessing, unit).to(teacher.device());
  objective.valid = valid_pixels(teacher.preprocessing, at::TensorOptions(at::kFloat).device(teacher.device()));
  return objective;
}

LossTerms evaluate_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                             const Tensor& pixels, const Views& views) {
  LossTerms terms;
  evaluate_views(terms, teacher, job, objective, pixels, views);
  if (job.variation_weight != 0.0) terms.variation = total_variation_loss(pixels, objective.variation_targets);
  return terms;
}

Tensor weighted_sum(const LossTerms& terms, const SynthesisJob& job, const Preprocessing& preprocessing) {
  Tensor loss;
  const auto add = [&](const Tensor& term, double weight) {
    if (!term.defined() || weight == 0.0) return;
    loss = loss.defined() ? loss + term * weight : term * weight;
  };
  add(terms.semantic, 1.0);
  add(terms.crops, 1.0);
  if (terms.prior.defined()) add(terms.prior, job.sardfq.prior_weight.value());
  add(terms.variation, job.variation_weight / variation_scale(preprocessing));
  add(terms.entropy, entropy_weight(job));
  add(terms.head_similarity, head_similarity_weight(job));
  return loss.sum();
}

std::vector<std::pair<std::string, Tensor>> named_terms(const LossTerms& terms) {
  std::vector<std::pair<std::string, Tensor>> named{{"semantic", terms.semantic}, {"crops", terms.crops},
                                                    {"prior", terms.prior},       {"variation", terms.variation},
                                                    {"entropy", terms.entropy},   {"head_similarity", terms.head_similarity}};
  std::erase_if(named, [](const auto& term) { return !term.second.defined(); });
  return named;
}

LossTable loss_table(const LossTerms& terms, const UnitObjective& objective) {
  const Tensor& targets = objective.semantics.image_targets;
  const Tensor floor = -(targets * targets.clamp_min(1e-30).log()).sum(-1);
  const Tensor alignment = terms.attention_rows.empty() ? Tensor() : prior_alignment(objective.prior, terms.attention_rows);
  LossTable table;
  std::vector<Tensor> columns;
  const auto add = [&](const char* name, const Tensor& term) {
    table.names.emplace_back(name);
    columns.push_back((term.defined() ? term : at::zeros_like(floor)).detach().to(at::kCPU, at::kFloat));
  };
  add("prior", terms.prior);
  add("semantic", terms.semantic);
  add("semantic_floor", floor);
  add("crops", terms.crops);
  add("variation", terms.variation);
  add("alignment", alignment);
  add("entropy", terms.entropy);
  add("head_similarity", terms.head_similarity);
  table.values = at::stack(columns, 1).contiguous();
  return table;
}

}  // namespace eidolon
