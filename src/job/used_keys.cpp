#include "job/used_keys.h"

#include <map>
#include <string_view>
#include <type_traits>

namespace eidolon {
namespace {

bool draws(const Job& job) {
  return job.synthesis.method != "given";
}

/// Some unit is optimised.
bool optimises(const Job& job) {
  const SynthesisJob& synthesis = job.synthesis;
  return draws(job) && synthesis.method != "gaussian" && synthesis.iterations > 0 && synthesis.optimised_share > 0;
}

bool has_soft_labels(const Job& job) {
  return optimises(job) && job.synthesis.soft_labels;
}

bool varies(const Job& job) {
  return optimises(job) && job.synthesis.variation_weight != 0.0;
}

bool is_blockwise(const Job& job) {
  return job.finetuning.method == "blockwise";
}

bool reconstructs(const Job& job) {
  return is_blockwise(job) && job.finetuning.iterations > 0;
}

bool distils(const Job& job) {
  const FinetuningJob& finetuning = job.finetuning;
  return (finetuning.method == "distill" && finetuning.iterations > 0) ||
         (is_blockwise(job) && finetuning.distill_iterations > 0);
}

bool trains(const Job& job) {
  return reconstructs(job) || distils(job);
}

bool decides_rounding(const Job& job) {
  return reconstructs(job) && job.finetuning.rounding == "adaround";
}

bool regularizes(const Job& job) {
  return job.quantization.correction == "ridge" || job.quantization.correction == "rounding";
}

using Condition = bool (*)(const Job&);

/// Keys that are not always used, and when they are.
const std::map<std::string_view, Condition> conditions = {
    {"synthesis.start", draws},
    {"synthesis.seed", draws},
    {"synthesis.precision", optimises},
    {"synthesis.optimised_share", optimises},
    {"synthesis.iterations", optimises},
    {"synthesis.rounds", optimises},
    {"synthesis.warmup_iterations", optimises},
    {"synthesis.learning_rate", optimises},
    {"synthesis.smallest_view", optimises},
    {"synthesis.view_colour", optimises},
    {"synthesis.prior_weight", optimises},
    {"synthesis.crops", optimises},
    {"synthesis.soft_labels", optimises},
    {"synthesis.soft_label_low", has_soft_labels},
    {"synthesis.soft_label_high", has_soft_labels},
    {"synthesis.variation_weight", optimises},
    {"synthesis.variation_low", varies},
    {"synthesis.variation_high", varies},
    {"synthesis.entropy_weight", optimises},
    {"synthesis.entropy_form", [](const Job& job) { return optimises(job) && job.synthesis.entropy_weight != 0.0; }},
    {"synthesis.head_similarity_weight", optimises},
    {"quantization.ridge", regularizes},
    {"finetuning.batch", trains},
    {"finetuning.iterations", [](const Job& job) { return job.finetuning.method != "none"; }},
    {"finetuning.learning_rate",
     [](const Job& job) { return reconstructs(job) || (job.finetuning.method == "distill" && distils(job)); }},
    {"finetuning.early_rate", reconstructs},
    {"finetuning.scale_learning_rate", trains},
    {"finetuning.weight_scale_learning_rate", trains},
    {"finetuning.input_mix", reconstructs},
    {"finetuning.rounding", is_blockwise},
    {"finetuning.rounding_learning_rate", decides_rounding},
    {"finetuning.rounding_weight", decides_rounding},
    {"finetuning.importance", reconstructs},
    {"finetuning.token_units", is_blockwise},
    {"finetuning.distill_iterations", is_blockwise},
    {"finetuning.distill_learning_rate", [](const Job& job) { return is_blockwise(job) && distils(job); }},
    {"finetuning.distill_feature_weight", distils},
    {"finetuning.distill_images", distils},
    {"finetuning.seed", trains},
};

}  // namespace

bool is_used(const Job& job, const Key& key) {
  const auto condition = conditions.find(full_name(key));
  return condition == conditions.end() || condition->second(job);
}

std::vector<std::string> settings_without_effect(const Job& job) {
  const Job standard;
  std::vector<std::string> names;
  visit_keys(job, [&]<class Field>(const Key& key, const Field& field) {
    if (is_used(job, key)) return;
    visit_keys(standard, [&]<class Other>(const Key& same, const Other& other) {
      if constexpr (std::is_same_v<Field, Other>) {
        if (full_name(same) == full_name(key) && !(field == other)) names.push_back(full_name(key));
      }
    });
  });
  return names;
}

}  // namespace eidolon
