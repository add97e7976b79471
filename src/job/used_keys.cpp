#include "job/used_keys.h"

#include <map>
#include <string_view>
#include <type_traits>

#include "job/key_groups.h"
#include "job/number_formats.h"
#include "job/synthesis_methods.h"

namespace eidolon {
namespace {

bool draws(const Job& job) {
  return job.synthesis.method != "given";
}

/// Some unit is optimised.
bool optimises(const Job& job) {
  const SynthesisJob& synthesis = job.synthesis;
  const bool has_steps = synthesis.iterations > 0 || cycles_of(synthesis) > 0;
  return draws(job) && synthesis.method != "gaussian" && has_steps && synthesis.optimised_share > 0;
}

/// Some image begins, or stays, as a start.
bool has_starts(const Job& job) {
  return draws(job) && !(trains_generator(job.synthesis) && job.synthesis.optimised_share == 1);
}

bool has_cycles(const Job& job) {
  return cycles_of(job.synthesis) > 0;
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
         (is_blockwise(job) && finetuning.distill.iterations > 0);
}

bool trains(const Job& job) {
  return reconstructs(job) || distils(job);
}

bool has_weight_bits(const Job& job) {
  return !own_bits(job.quantization.weight_format);
}

/// Some activation has as many bits as the job says.
bool has_activation_bits(const Job& job) {
  return !own_bits(job.quantization.activation_format) || !own_bits(job.quantization.attention);
}

bool is_research(const Job& job) {
  return job.quantization.recipe == "research";
}

bool trains_weight_scales(const Job& job) {
  const QuantizationJob& quantization = job.quantization;
  return trains(job) && has_trainable_scales(is_research(job) ? quantization.weight_format : quantization.recipe);
}

/// Some activation has a scale that can be trained.
bool trains_activation_scales(const Job& job) {
  const QuantizationJob& quantization = job.quantization;
  if (!is_research(job)) return trains(job) && has_trainable_scales(quantization.recipe) && quantization.recipe != "w4a16";
  return trains(job) && (has_trainable_scales(quantization.activation_format) || has_trainable_scales(quantization.attention));
}

using Condition = bool (*)(const Job&);

/// Keys that are not always used, and when they are.
const std::map<std::string_view, Condition> conditions = {
    {"synthesis.start", has_starts},
    // Not at 1, where nothing is drawn for it: images from before there was this key keep their identity.
    {"synthesis.enlargement", [](const Job& job) { return draws(job) && job.synthesis.enlargement > 1; }},
    {"synthesis.seed", draws},
    {"synthesis.precision", optimises},
    {"synthesis.optimised_share", optimises},
    {"synthesis.iterations", optimises},
    {"synthesis.learning_rate", optimises},
    {"synthesis.variation_weight", optimises},
    {"synthesis.batchnorm_weight", optimises},
    {"synthesis.views.smallest_side", optimises},
    {"synthesis.views.colour", optimises},
    {"synthesis.sardfq.prior_weight", optimises},
    {"synthesis.sardfq.crops", optimises},
    {"synthesis.sardfq.soft_labels", optimises},
    {"synthesis.psaq.entropy_weight", optimises},
    {"synthesis.psaq.entropy_form", [](const Job& job) { return optimises(job) && job.synthesis.psaq.entropy_weight != 0.0; }},
    {"synthesis.psaq.head_similarity_weight", optimises},
    {"synthesis.generator.batch", optimises},
    {"synthesis.generator.class_weight", optimises},
    {"synthesis.generator.centre_weight", optimises},
    {"synthesis.generator.pair_weight", optimises},
    {"synthesis.generator.consistency_weight", optimises},
    {"synthesis.psaq_v2.iterations", has_cycles},
    {"synthesis.psaq_v2.disagreement_weight", has_cycles},
    {"synthesis.psaq_v2.adaptive",
     [](const Job& job) { return has_cycles(job) && job.synthesis.psaq_v2.disagreement_weight != 0.0; }},
    {"quantization.weight_bits", has_weight_bits},
    {"quantization.weight_symmetric", has_weight_bits},
    {"quantization.activation_bits", has_activation_bits},
    {"quantization.attention_granularity", [](const Job& job) { return !own_bits(job.quantization.attention); }},
    {"finetuning.batch", trains},
    {"finetuning.iterations", [](const Job& job) { return job.finetuning.method != "none"; }},
    {"finetuning.learning_rate",
     [](const Job& job) { return reconstructs(job) || (job.finetuning.method == "distill" && distils(job)); }},
    {"finetuning.learning_rate_multiplier", reconstructs},
    {"finetuning.input_mix", reconstructs},
    {"finetuning.rounding", is_blockwise},
    {"finetuning.importance", reconstructs},
    {"finetuning.token_units", is_blockwise},
    {"finetuning.train_low_rank", trains},
    {"finetuning.precision", trains},
    {"finetuning.seed", trains},
    {"finetuning.scales.activation_learning_rate", trains_activation_scales},
    {"finetuning.scales.weight_learning_rate", trains_weight_scales},
    {"finetuning.adaround.learning_rate", reconstructs},
    {"finetuning.distill.iterations", is_blockwise},
    {"finetuning.distill.learning_rate", [](const Job& job) { return is_blockwise(job) && distils(job); }},
    {"finetuning.distill.optimizer", distils},
    {"finetuning.distill.distance", distils},
    {"finetuning.distill.temperature", [](const Job& job) { return distils(job) && job.finetuning.distill.distance == "kl"; }},
    {"finetuning.distill.feature_weight", distils},
    {"finetuning.distill.images", distils},
};

template <class Field>
Field& field_of(Job& job, const Key& key) {
  Field* found = nullptr;
  visit_keys(job, [&]<class Other>(const Key& other, Other& field) {
    if constexpr (std::is_same_v<Field, Other>) {
      if (full_name(other) == full_name(key)) found = &field;
    }
  });
  return *found;
}

}  // namespace

bool is_used(const Job& job, const Key& key) {
  if (!applies(job, key)) return false;
  const auto condition = conditions.find(full_name(key));
  return condition == conditions.end() || condition->second(job);
}

std::vector<std::string> settings_without_effect(const Job& job) {
  Job standard;
  standard.synthesis = synthesis_method(job.synthesis.method).defaults();
  std::vector<std::string> names;
  visit_keys(job, [&]<class Field>(const Key& key, const Field& field) {
    if (is_used(job, key) || !applies(job, key)) return;
    const Field& usual = field_of<Field>(standard, key);
    if (field == usual) return;
    // What switches a part off, such as optimised_share = 0, has that effect.
    Job switched_on = job;
    field_of<Field>(switched_on, key) = usual;
    if (!is_used(switched_on, key)) names.push_back(full_name(key));
  });
  return names;
}

}  // namespace eidolon
