#include "job/key_groups.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"

namespace eidolon {
namespace {

struct KeyGroup {
  std::string_view section;
  std::string_view key, choice;  ///< the group is of those jobs in which `key` is `choice`
  const std::string& (*chosen)(const Job&);
};

const std::string& method(const Job& job) {
  return job.synthesis.method;
}

const std::string& rounding(const Job& job) {
  return job.finetuning.rounding;
}

constexpr std::array groups{KeyGroup{"synthesis.views", "synthesis.method", "views", method},
                            KeyGroup{"synthesis.sardfq", "synthesis.method", "sardfq", method},
                            KeyGroup{"synthesis.psaq", "synthesis.method", "psaq", method},
                            KeyGroup{"finetuning.adaround", "finetuning.rounding", "adaround", rounding}};

const KeyGroup* group_of(const Key& key) {
  const auto* const found = std::ranges::find(groups, key.section, &KeyGroup::section);
  return found == groups.end() ? nullptr : found;
}

}  // namespace

bool applies(const Job& job, const Key& key) {
  const KeyGroup* group = group_of(key);
  return group == nullptr || group->chosen(job) == group->choice;
}

void require_choice(const Job& job, const Key& key) {
  if (applies(job, key)) return;
  const KeyGroup& group = *group_of(key);
  throw BadInput("'" + full_name(key) + "' belongs to " + std::string(group.key) + " = \"" + std::string(group.choice) +
                 "\", which is \"" + group.chosen(job) + "\" in this job; leave the key out, or choose \"" +
                 std::string(group.choice) + "\"");
}

bool is_choice(const std::string& name) {
  return std::ranges::find(groups, name, &KeyGroup::key) != groups.end();
}

}  // namespace eidolon
