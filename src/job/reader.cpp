#include "job/reader.h"

#include <algorithm>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <variant>

#include "base/error.h"
#include "job/assign.h"
#include "job/nearest.h"
#include "job/schema.h"
#include "job/toml_sections.h"
#include "job/unknown_names.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

enum class UnknownKeys { refused, ignored };

/// `--set section.key=value`, taken apart.
struct Override {
  std::string text, section, key, value;
};

/// False if there is no such key.
bool set_key(Job& job, const std::string& section, const TomlEntry& entry, const std::filesystem::path& base) {
  bool known = false;
  visit_keys(job, [&](const Key& key, auto& field) {
    if (key.section == section && key.name == entry.name) {
      known = true;
      assign(field, entry.value, key, base);
    }
  });
  return known;
}

/// Runs `action`; puts where the input stands in front of what is wrong with it.
template <class Action>
void located(const std::string& where, Action&& action) {
  try {
    action();
  } catch (const BadInput& error) {
    throw BadInput(where + ": " + error.what());
  }
}

/// A path that an override replaces is not read from the file: it may contain variables that are not set here.
bool is_replaced_path(const std::string& section, const TomlEntry& entry, const std::vector<Override>& overrides) {
  const auto same = [&](const Override& one) { return one.section == section && one.key == entry.name; };
  bool is_path = false;
  const Job keys;
  visit_keys(keys, [&]<class Field>(const Key& key, const Field&) {
    if constexpr (std::is_same_v<Field, std::filesystem::path>) is_path |= key.section == section && key.name == entry.name;
  });
  return is_path && std::holds_alternative<std::string>(entry.value) && std::ranges::any_of(overrides, same);
}

void apply_section(Job& job, const TomlSection& section, const std::string& file, UnknownKeys unknown,
                   const std::vector<Override>& overrides) {
  const bool strict = unknown == UnknownKeys::refused;
  if (strict && !section.name.empty()) {
    located(file + ":" + std::to_string(section.line), [&] { require_section(section.name); });
  }
  for (const TomlEntry& entry : section.entries) {
    if (is_replaced_path(section.name, entry, overrides)) continue;
    located(file + ":" + std::to_string(entry.line), [&] {
      if (strict && section.name.empty()) {
        refuse_outside_sections(entry.name);
      }
      if (!set_key(job, section.name, entry, job.file.parent_path()) && strict) {
        refuse_key(section.name, entry.name);
      }
    });
  }
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  const std::size_t last = text.find_last_not_of(" \t");
  return first == std::string_view::npos ? std::string() : std::string(text.substr(first, last - first + 1));
}

Override parsed_override(const std::string& text) {
  Override result{text, {}, {}, {}};
  located("--set " + printable(text), [&] {
    const std::size_t equals = text.find('=');
    const std::string key = trimmed(std::string_view(text).substr(0, equals));
    const std::size_t dot = key.find('.');
    if (equals == std::string::npos || dot == std::string::npos) {
      throw BadInput("expected section.key=value, such as synthesis.images=256");
    }
    result.section = key.substr(0, dot);
    result.key = key.substr(dot + 1);
    result.value = trimmed(std::string_view(text).substr(equals + 1));
    require_section(result.section);
  });
  return result;
}

void apply_override(Job& job, const Override& given) {
  located("--set " + printable(given.text), [&] {
    if (!set_key(job, given.section, {given.key, toml_value_or_word(given.value), 0}, std::filesystem::current_path())) {
      refuse_key(given.section, given.key);
    }
  });
}

/// What no single key can tell.
void check(const Job& job) {
  const SynthesisJob& synthesis = job.synthesis;
  const auto require_order = [](const char* low_name, auto low, const char* high_name, auto high) {
    if (low > high) {
      throw BadInput(std::string("'") + low_name + "' is " + toml_text(low) + ", more than '" + high_name + "', which is " +
                     toml_text(high));
    }
  };
  if (job.teacher.weights.empty()) {
    throw BadInput("'teacher.weights' is missing; give the folder that holds model.safetensors and config.json");
  }
  require_order("synthesis.soft_label_low", synthesis.soft_label_low, "synthesis.soft_label_high", synthesis.soft_label_high);
  require_order("synthesis.variation_low", synthesis.variation_low, "synthesis.variation_high", synthesis.variation_high);
  if (synthesis.method == "gaussian" && synthesis.start.value_or("gaussian") != "gaussian") {
    throw BadInput("'synthesis.method' is 'gaussian', which is noise alone, but 'synthesis.start' is '" +
                   printable(*synthesis.start) + "'; for other starts alone set synthesis.iterations = 0 instead");
  }
  if (synthesis.iterations > 0) {
    require_order("synthesis.rounds", synthesis.rounds, "synthesis.iterations", synthesis.iterations);
  }
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

Job job_of_file(const std::filesystem::path& file, UnknownKeys unknown, const std::vector<Override>& overrides) {
  Job job;
  job.file = std::filesystem::absolute(file).lexically_normal();
  job.name = job.file.stem().string();
  for (const TomlSection& section : toml_sections(job_text(file), file.string())) {
    apply_section(job, section, file.string(), unknown, overrides);
  }
  return job;
}

}  // namespace

Job read_job(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  std::vector<Override> given;
  for (const std::string& text : overrides) given.push_back(parsed_override(text));
  Job job = job_of_file(file, UnknownKeys::refused, given);
  for (const Override& one : given) apply_override(job, one);
  located(file.string(), [&] { check(job); });
  return job;
}

Job read_resolved_text(const std::string& text, const Job& like) {
  Job job;
  job.file = like.file;
  job.name = like.name;
  for (const TomlSection& section : toml_sections(text, like.file.string())) {
    apply_section(job, section, like.file.string(), UnknownKeys::ignored, {});
  }
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
  return job_of_file(file, UnknownKeys::ignored, {});
}

}  // namespace eidolon
