#include <vector>

#include "synthesis/terms/attention_prior.h"
#include "synthesis/terms/batch_statistics.h"
#include "synthesis/terms/crops.h"
#include "synthesis/terms/disagreement.h"
#include "synthesis/terms/head_similarity.h"
#include "synthesis/terms/patch_entropy.h"
#include "synthesis/terms/semantic.h"
#include "synthesis/terms/term.h"
#include "synthesis/terms/total_variation.h"

namespace eidolon {
namespace {

bool has_classes(const SynthesisTeacher& teacher) {
  return teacher.plan().output.kind == Output::Kind::classes;
}

bool is_psaq(const SynthesisJob& job) {
  return job.method == "psaq" || job.method == "psaq_v2";
}

double semantic_weight(const SynthesisJob& job, const SynthesisTeacher& teacher) {
  return has_classes(teacher) && shows_classes(job) ? 1.0 : 0.0;
}

double crops_weight(const SynthesisJob& job, const SynthesisTeacher& teacher) {
  return most_crops(job) > 0 && has_classes(teacher) ? 1.0 : 0.0;
}

double prior_weight(const SynthesisJob& job, const SynthesisTeacher&) {
  return job.method == "sardfq" ? job.sardfq.prior_weight.value() : 0.0;
}

double variation_weight(const SynthesisJob& job, const SynthesisTeacher& teacher) {
  return job.variation_weight / variation_scale(teacher.preprocessing);
}

/// Without classes the patches' variety takes the place of what an image shows, as PSAQ-ViT V2 has it (arXiv 2209.05687).
double entropy_weight(const SynthesisJob& job, const SynthesisTeacher& teacher) {
  if (is_psaq(job)) return job.psaq.entropy_weight;
  return job.method == "views" && !has_classes(teacher) && !teacher.plan().attention.empty() ? 1.0 : 0.0;
}

double head_similarity_weight(const SynthesisJob& job, const SynthesisTeacher&) {
  return is_psaq(job) ? job.psaq.head_similarity_weight : 0.0;
}

double disagreement_weight(const SynthesisJob& job, const SynthesisTeacher& teacher) {
  return job.method == "psaq_v2" && teacher.opponent != nullptr ? job.psaq_v2.disagreement_weight : 0.0;
}

/// What is left of a network that has neither classes nor attention.
double batchnorm_weight(const SynthesisJob& job, const SynthesisTeacher& teacher) {
  if (job.batchnorm_weight > 0) return job.batchnorm_weight;
  return job.method == "views" && !has_classes(teacher) && teacher.plan().attention.empty() ? 1.0 : 0.0;
}

}  // namespace

const std::vector<Term>& terms() {
  static const std::vector<Term> all{
      {.name = "semantic", .weight = semantic_weight, .reads = {}, .draw = draw_semantic_term},
      {.name = "crops", .weight = crops_weight, .reads = {}, .draw = draw_crop_term},
      {.name = "prior", .weight = prior_weight, .reads = {.class_row = true}, .draw = draw_prior_term},
      {.name = "variation", .weight = variation_weight, .reads = {}, .draw = draw_variation_term},
      {.name = "entropy", .weight = entropy_weight, .reads = {.output = true}, .draw = draw_entropy_term},
      {.name = "head_similarity",
       .weight = head_similarity_weight,
       .reads = {.query_and_key = true},
       .draw = draw_head_similarity_term},
      {.name = "disagreement",
       .weight = disagreement_weight,
       .reads = {},
       .reads_opponent = true,
       .draw = draw_disagreement_term},
      {.name = "statistics", .weight = batchnorm_weight, .reads = {}, .reads_statistics = true, .draw = draw_statistics_term}};
  return all;
}

}  // namespace eidolon
