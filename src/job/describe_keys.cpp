#include <algorithm>
#include <array>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job/reader.h"
#include "job/schema.h"
#include "job/synthesis_methods.h"
#include "job/toml_text.h"

namespace eidolon {
namespace {

constexpr std::size_t columns = 100;

/// The keys that people set.
constexpr std::array<std::string_view, 12> common_keys{"teacher.weights",
                                                       "synthesis.method",
                                                       "synthesis.images",
                                                       "synthesis.iterations",
                                                       "quantization.recipe",
                                                       "quantization.bits_for",
                                                       "finetuning.iterations",
                                                       "evaluation.images",
                                                       "evaluation.classes",
                                                       "run.shards",
                                                       "run.device",
                                                       "run.export"};

bool is_wanted(const Key& key, WhichKeys which) {
  return which == WhichKeys::all || std::ranges::find(common_keys, full_name(key)) != common_keys.end();
}

/// The text in lines of at most 100 columns that begin with `indent`.
std::string wrapped(const std::string& text, const std::string& indent) {
  std::istringstream words(text);
  std::string result, line = indent;
  for (std::string word; words >> word;) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > columns) {
      result += line + "\n";
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + word;
  }
  return result + line + "\n";
}

/// "sardfq, psaq: 32" of the methods whose default differs from the one shown.
std::string defaults_of_methods(const Key& wanted, const std::string& shown) {
  std::vector<std::pair<std::string, std::string>> others;  // methods, value
  for (const SynthesisMethod& method : synthesis_methods()) {
    Job job;
    job.synthesis = method.defaults();
    visit_keys(job, [&](const Key& key, const auto& field) {
      const std::string value = toml_text(field);
      if (full_name(key) != full_name(wanted) || key.name == "method" || value == shown) return;
      const auto same = std::ranges::find(others, value, &std::pair<std::string, std::string>::second);
      if (same != others.end()) {
        same->first += ", " + std::string(method.name);
      } else {
        others.emplace_back(method.name, value);
      }
    });
  }
  std::string text;
  for (const auto& [methods, value] : others) text += (text.empty() ? "" : "; ") + methods + ": " + value;
  return text;
}

}  // namespace

std::string describe_keys(WhichKeys which) {
  std::string text;
  const Job defaults;
  visit_keys(defaults, [&]<class Field>(const Key& key, const Field& field) {
    if (!is_wanted(key, which)) return;
    const std::string value = toml_text(field), others = defaults_of_methods(key, value);
    text += wrapped(full_name(key) + " = " + value + (others.empty() ? "" : " (" + others + ")"), "");
    text += wrapped(std::string(key.help), "    ") + wrapped(accepted_text<Field>(key), "    ");
  });
  if (which == WhichKeys::common) text += "\nThese are the keys that people set; `eidolon keys --all` shows all.\n";
  return text;
}

}  // namespace eidolon
