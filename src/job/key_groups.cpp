#include "job/key_groups.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"

namespace eidolon {
namespace {

struct KeyGroup {
  std::string_view keys;                    ///< one key, or the section of all of them
  std::string_view key;                     ///< they are of those jobs in which `key`
  std::array<std::string_view, 2> choices;  ///< is one of these; "" stands for none
  const std::string& (*chosen)(const Job&);
};

const std::string& synthesis_method(const Job& job) {
  return job.synthesis.method;
}

const std::string& finetuning_method(const Job& job) {
  return job.finetuning.method;
}

const std::string& rounding(const Job& job) {
  return job.finetuning.rounding;
}

const std::string& recipe(const Job& job) {
  return job.quantization.recipe;
}

const std::string& correction(const Job& job) {
  return job.quantization.correction;
}

constexpr KeyGroup of_research(std::string_view key) {
  return {key, "quantization.recipe", {"research"}, recipe};
}

constexpr std::array groups{
    KeyGroup{"synthesis.views", "synthesis.method", {"views"}, synthesis_method},
    KeyGroup{"synthesis.sardfq", "synthesis.method", {"sardfq"}, synthesis_method},
    KeyGroup{"synthesis.psaq", "synthesis.method", {"psaq", "psaq_v2"}, synthesis_method},
    KeyGroup{"synthesis.generator", "synthesis.method", {"generator"}, synthesis_method},
    KeyGroup{"synthesis.psaq_v2", "synthesis.method", {"psaq_v2"}, synthesis_method},
    KeyGroup{"quantization.int4_scales", "quantization.recipe", {"w4a8", "w4a16"}, recipe},
    KeyGroup{"quantization.float_channels", "quantization.recipe", {"int8", "w4a8"}, recipe},
    KeyGroup{"quantization.low_rank", "quantization.correction", {"low_rank"}, correction},
    KeyGroup{"finetuning.train_low_rank", "quantization.correction", {"low_rank"}, correction},
    of_research("quantization.weight_bits"),
    of_research("quantization.activation_bits"),
    of_research("quantization.weight_symmetric"),
    of_research("quantization.weight_format"),
    of_research("quantization.activation_format"),
    of_research("quantization.attention"),
    of_research("quantization.attention_granularity"),
    KeyGroup{"finetuning.scales", "finetuning.method", {"blockwise", "distill"}, finetuning_method},
    KeyGroup{"finetuning.adaround", "finetuning.rounding", {"adaround"}, rounding},
    KeyGroup{"finetuning.distill", "finetuning.method", {"blockwise", "distill"}, finetuning_method},
};

/// "blockwise" or "distill"
std::string listed(const KeyGroup& group) {
  std::string text;
  for (const std::string_view choice : group.choices) {
    if (!choice.empty()) text += (text.empty() ? "\"" : " or \"") + std::string(choice) + "\"";
  }
  return text;
}

const KeyGroup* group_of(const Key& key) {
  const auto* const found = std::ranges::find_if(
      groups, [&](const KeyGroup& group) { return group.keys == key.section || group.keys == full_name(key); });
  return found == groups.end() ? nullptr : found;
}

}  // namespace

bool applies(const Job& job, const Key& key) {
  const KeyGroup* group = group_of(key);
  return group == nullptr || std::ranges::find(group->choices, group->chosen(job)) != group->choices.end();
}

void require_choice(const Job& job, const Key& key) {
  if (applies(job, key)) return;
  const KeyGroup& group = *group_of(key);
  throw BadInput("'" + full_name(key) + "' belongs to " + std::string(group.key) + " = " + listed(group) + ", which is \"" +
                 group.chosen(job) + "\" in this job; leave the key out, or choose " + listed(group));
}

bool is_choice(const std::string& name) {
  return std::ranges::find(groups, name, &KeyGroup::key) != groups.end();
}

}  // namespace eidolon
