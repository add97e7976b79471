#include "job/reader.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <variant>

#include "base/error.h"
#include "base/trimmed.h"
#include "job/assign.h"
#include "job/key_groups.h"
#include "job/mixture.h"
#include "job/nearest.h"
#include "job/schema.h"
#include "job/synthesis_methods.h"
#include "job/toml_sections.h"
#include "job/unknown_names.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

enum class UnknownKeys { refused, ignored };

/// A value for a key, from a file or from --set.
struct Setting {
  std::string section, key;
  TomlValue value;
  std::filesystem::path base;  ///< of relative paths
  std::string where;           ///< "job.toml:3" or "--set synthesis.images=3"

  std::string name() const { return section + "." + key; }
};

/// Runs `action`; puts where the input stands in front of what is wrong with it.
template <class Action>
void located(const std::string& where, Action&& action) {
  try {
    action();
  } catch (const BadInput& error) {
    throw BadInput(where + ": " + error.what());
  }
}

/// False if there is no such key.
bool set_key(Job& job, const Setting& setting, UnknownKeys unknown) {
  bool known = false;
  visit_keys(job, [&](const Key& key, auto& field) {
    if (key.section != setting.section || key.name != setting.key) return;
    known = true;
    if (unknown == UnknownKeys::refused) require_choice(job, key);
    assign(field, setting.value, key, setting.base);
  });
  return known;
}

void apply(Job& job, const Setting& setting, UnknownKeys unknown) {
  located(setting.where, [&] {
    if (!set_key(job, setting, unknown) && unknown == UnknownKeys::refused) refuse_key(setting.section, setting.key);
  });
}

/// The choices first, since they decide what the other keys are by default and whether they are allowed.
void apply_all(Job& job, const std::vector<Setting>& settings, UnknownKeys unknown) {
  for (const Setting& setting : settings) {
    if (is_choice(setting.name())) apply(job, setting, unknown);
  }
  job.synthesis = synthesis_method(job.synthesis.method).defaults();
  for (const Setting& setting : settings) apply(job, setting, unknown);
}

bool is_path(const Setting& setting) {
  bool found = false;
  const Job keys;
  visit_keys(keys, [&]<class Field>(const Key& key, const Field&) {
    if constexpr (std::is_same_v<Field, std::filesystem::path>) found |= full_name(key) == setting.name();
  });
  return found && std::holds_alternative<std::string>(setting.value);
}

/// Without the paths that an override replaces: they may contain variables that are not set here.
std::vector<Setting> without_replaced_paths(std::vector<Setting> settings, const std::vector<Setting>& overrides) {
  std::erase_if(settings, [&](const Setting& setting) {
    const auto same = [&](const Setting& other) { return other.name() == setting.name(); };
    return is_path(setting) && std::ranges::any_of(overrides, same);
  });
  return settings;
}

std::vector<Setting> settings_of(const std::vector<TomlSection>& sections, const std::string& file, UnknownKeys unknown) {
  const std::filesystem::path base = std::filesystem::absolute(file).lexically_normal().parent_path();
  std::vector<Setting> settings;
  for (const TomlSection& section : sections) {
    const auto where = [&](uint32_t line) { return file + ":" + std::to_string(line); };
    if (unknown == UnknownKeys::refused && !section.name.empty()) {
      located(where(section.line), [&] { require_section(section.name); });
    }
    for (const TomlEntry& entry : section.entries) {
      if (unknown == UnknownKeys::refused && section.name.empty()) {
        located(where(entry.line), [&] { refuse_outside_sections(entry.name); });
      }
      settings.push_back({section.name, entry.name, entry.value, base, where(entry.line)});
    }
  }
  return settings;
}

/// `--set section.key=value`, where the section may be a group: synthesis.sardfq.crops=2.
Setting parsed_override(const std::string& text) {
  Setting result{
      .section = {}, .key = {}, .value = {}, .base = std::filesystem::current_path(), .where = "--set " + printable(text)};
  located(result.where, [&] {
    const std::size_t equals = text.find('=');
    const std::string key(trimmed(std::string_view(text).substr(0, equals)));
    const std::size_t dot = key.rfind('.');
    if (equals == std::string::npos || dot == std::string::npos) {
      throw BadInput("expected section.key=value, such as synthesis.images=256");
    }
    result.section = key.substr(0, dot);
    result.key = key.substr(dot + 1);
    result.value = toml_value_or_word(trimmed(std::string_view(text).substr(equals + 1)));
    require_section(result.section);
  });
  return result;
}

/// Bits that the job states although the format has others.
void check_bits(const std::string& key, int64_t bits, const std::string& format, const std::vector<Setting>& settings) {
  const bool stated = std::ranges::find(settings, key, &Setting::name) != settings.end();
  const std::optional<int64_t> own = own_bits(format);
  if (!stated || !own || *own == bits) return;
  throw BadInput("'" + key + "' is " + std::to_string(bits) + ", but the format \"" + format + "\" has " +
                 std::to_string(*own) + " bits; leave the key out, or set it to " + std::to_string(*own));
}

/// Choices among the two neighbours of a weight need even steps and one scale per channel. They know nothing of the channels
/// that a recipe may leave float.
void check_rounding(const std::string& what, const QuantizationJob& job) {
  const std::string reason = what + " chooses among even steps with a scale per channel, but 'quantization.";
  if (job.recipe != "research") {
    throw BadInput(reason + "recipe' is \"" + job.recipe + "\", in which not all weights have those; set it to \"research\", " +
                   "or choose another method");
  }
  if (job.weight_format == "integer") return;
  throw BadInput(reason + "weight_format' is \"" + job.weight_format + "\"; set it to \"integer\", or choose another method");
}

void check_formats(const Job& job, const std::vector<Setting>& settings) {
  const QuantizationJob& quantization = job.quantization;
  check_bits("quantization.weight_bits", quantization.weight_bits, quantization.weight_format, settings);
  check_bits("quantization.activation_bits", quantization.activation_bits, quantization.activation_format, settings);
  if (quantization.correction == "rounding" || quantization.correction == "ridge") {
    check_rounding("'quantization.correction' = \"" + quantization.correction + "\"", quantization);
  }
  if (quantization.ranges == "min_max" && quantization.correction != "none" && quantization.correction != "bias") {
    throw BadInput("'quantization.correction' = \"" + quantization.correction +
                   "\" searches the ranges of weights, but 'quantization.ranges' is \"min_max\"; set one of them otherwise");
  }
  if (quantization.correction == "low_rank" && quantization.low_rank.rounding == "compensated")
    check_rounding("'quantization.low_rank.rounding' = \"compensated\"", quantization);
  if (job.finetuning.method == "blockwise" && job.finetuning.rounding == "adaround") {
    check_rounding("'finetuning.rounding' = \"adaround\"", quantization);
  }
}

/// What no single key can tell.
void check(const Job& job, const std::vector<Setting>& settings) {
  const SynthesisJob& synthesis = job.synthesis;
  if (job.teacher.weights.empty()) {
    throw BadInput("'teacher.weights' is missing; give the folder that holds model.safetensors and config.json");
  }
  if (synthesis.method == "gaussian" && synthesis.start != "gaussian") {
    throw BadInput("'synthesis.method' is 'gaussian', which is noise alone, but 'synthesis.start' is '" +
                   printable(synthesis.start) + "'; for other starts alone set synthesis.iterations = 0 instead");
  }
  const bool some_are_starts = synthesis.optimised_share > 0 && synthesis.optimised_share < 1;
  if (cycles_of(synthesis) > 0 && synthesis.iterations == 0 && some_are_starts) {
    throw BadInput(
        "'synthesis.iterations' is 0, so that the first round optimises nothing, but 'synthesis.psaq_v2.cycles' goes "
        "on with a share of its units; set 'synthesis.optimised_share' to 1, or the iterations to 1 or more");
  }
  if (synthesis.method == "generator" &&
      (synthesis.unit_images % 2 != 0 || synthesis.generator.batch % synthesis.unit_images != 0)) {
    throw BadInput("'synthesis.generator.batch' is " + std::to_string(synthesis.generator.batch) +
                   ", but a step has whole groups of 'synthesis.unit_images' = " + std::to_string(synthesis.unit_images) +
                   " images in pairs; set it to a multiple of that, which is even");
  }
  if (has_entry(job.finetuning.distill.images, "generator") && !trains_generator(synthesis)) {
    throw BadInput(
        "'finetuning.distill.images' names \"generator\", which only 'synthesis.method' = \"generator\" trains; set one of "
        "them "
        "otherwise");
  }
  check_formats(job, settings);
}

std::string job_text(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) {
    throw BadInput(file.string() + ": there is no such job file");
  }
  if (std::filesystem::is_directory(status)) {
    throw BadInput(file.string() + ": is a folder; give the job file inside it");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw BadInput(file.string() + ": is a pipe or a device, which only one rank could read; write the job to a file");
  }
  try {
    return read_text(file);
  } catch (const Fault& fault) {
    throw BadInput(std::string("the job file cannot be read: ") + fault.what());
  }
}

Job named_after(const std::filesystem::path& file) {
  Job job;
  job.file = std::filesystem::absolute(file).lexically_normal();
  job.name = job.file.stem().string();
  if (job.name == "." || job.name == "..") {
    throw BadInput(file.string() + ": '" + job.name + "' is no name for a run directory; rename the job file");
  }
  return job;
}

}  // namespace

Job read_job(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  std::vector<Setting> given;
  for (const std::string& text : overrides) given.push_back(parsed_override(text));
  const std::vector<TomlSection> sections = toml_sections(job_text(file), file.string());
  std::vector<Setting> settings = without_replaced_paths(settings_of(sections, file.string(), UnknownKeys::refused), given);
  settings.insert(settings.end(), given.begin(), given.end());
  Job job = named_after(file);
  apply_all(job, settings, UnknownKeys::refused);
  located(file.string(), [&] { check(job, settings); });
  return job;
}

Job read_resolved_text(const std::string& text, const Job& like) {
  Job job;
  job.file = like.file;
  job.name = like.name;
  const std::string file = like.file.string();
  apply_all(job, settings_of(toml_sections(text, file), file, UnknownKeys::ignored), UnknownKeys::ignored);
  return job;
}

Job read_resolved_job(const std::filesystem::path& file) {
  const std::vector<TomlSection> sections = toml_sections(job_text(file), file.string());
  const auto run = std::ranges::find(sections, "run", &TomlSection::name);
  if (run == sections.end() || std::ranges::find(run->entries, "threads", &TomlEntry::name) == run->entries.end()) {
    throw BadInput(file.string() +
                   " was emptied or cut short, as it states no run.threads; restore it, or remove it and what was " +
                   "\"auto\" is decided anew");
  }
  Job job = named_after(file);
  apply_all(job, settings_of(sections, file.string(), UnknownKeys::ignored), UnknownKeys::ignored);
  return job;
}

}  // namespace eidolon
