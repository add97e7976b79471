#include "stages/run_summary.h"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "base/bounded_json.h"
#include "job/mixture.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// "name        value", no blanks behind it
std::string row(const std::string& name, const std::string& value) {
  char text[32];
  std::snprintf(text, sizeof text, "%-11s ", name.c_str());
  std::string line = std::string(text).append(value);
  line.erase(line.find_last_not_of(' ') + 1);
  return line.append("\n");
}

/// Relative to the working folder where that is shorter.
std::string shown(const fs::path& path) {
  std::error_code elsewhere;
  const std::string relative = fs::relative(path, elsewhere).string(), whole = path.string();
  return !elsewhere && !relative.empty() && relative.size() < whole.size() ? relative : whole;
}

/// "top-1 98.33 +- 0.68 %"; empty where the key is not there.
std::string figure(const ordered_json& figures, const std::string& key, const char* name, double factor, int digits,
                   const char* unit) {
  const auto value = figures.find(key), error = figures.find(key + "_se");
  if (value == figures.end() || !value->is_number()) return {};
  char text[96];
  std::snprintf(text, sizeof text, "%s %.*f", name, digits, factor * value->get<double>());
  std::string result = text;
  if (error != figures.end() && error->is_number()) {
    std::snprintf(text, sizeof text, " +- %.*f", digits, factor * error->get<double>());
    result += text;
  }
  return result + unit + "  ";
}

std::string figures_line(const ordered_json& figures) {
  constexpr double percent = 100;
  std::string line = figure(figures, "top1", "top-1", percent, 2, " %") +
                     figure(figures, "agreement", "agreement", percent, 1, " %") + figure(figures, "kl", "KL", 1, 4, "");
  for (const auto& [name, part] : figures.items()) {
    if (!part.is_object()) continue;
    if (part.contains("cosine")) line += name + ": " + figure(part, "cosine", "cosine", 1, 4, "");
    if (part.contains("top1")) line += figure(part, "top1", "nearest mean", percent, 2, " %");
  }
  return line;
}

std::string reached(const ordered_json& figures) {
  const bool synthetic = figures.value("optimistic", false);
  std::string text =
      row("measured on", std::to_string(figures.value("images", int64_t{0})) +
                             (synthetic ? " held-out synthetic images, which is optimistic" : " labelled images"));
  for (const char* who : {"teacher", "calibrated", "student"}) {
    if (figures.contains(who)) text += row(who, figures_line(figures[who]));
  }
  return text;
}

}  // namespace

std::string run_summary(const RunContext& context) {
  const RunDirectory& run = context.run;
  std::string text = "\n";
  text += row("run", shown(run.root)) + row("recipe", context.job.quantization.recipe);
  if (fs::exists(run.evaluation())) {
    const auto figures = bounded_json<ordered_json>(read_text(run.evaluation()));
    if (figures.is_object()) text += reached(figures);
  }
  const std::vector<int64_t> steps = checkpoint_steps(run);
  if (!steps.empty()) text += row("checkpoint", shown(run.checkpoint(steps[0])));
  const std::vector<std::string> targets = listed_names(context.job.run.exports);
  for (const std::string& target : targets) text += row("exported", shown(run.exported(target)));
  text += row("next", "eidolon report " + shown(run.root));
  if (targets.empty()) {
    text += row("", "eidolon export " + shown(context.job.file) + " \\");
    text += row("", "    --run-dir " + shown(run.root) + " --target onnx");
  }
  return text;
}

}  // namespace eidolon
