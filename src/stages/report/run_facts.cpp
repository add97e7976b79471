// What was run, by what and on what, and how far it came: from the files of the run directory.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "base/bounded_json.h"
#include "job/reader.h"
#include "stages/report/parts.h"
#include "storage/atomic_file.h"
#include "storage/tensor_archive.h"
#include "synthesis/unit.h"

namespace eidolon::parts {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// null if the file is not there or no JSON.
ordered_json json_in(const fs::path& file) {
  std::error_code unreadable;
  if (!fs::is_regular_file(file, unreadable)) return nullptr;
  auto json = bounded_json<ordered_json>(read_text(file));
  return json.is_discarded() ? ordered_json() : json;
}

std::string state_text(const RunStatus& status) {
  const SynthesisStatus& images = status.synthesis;
  if (is_finished(status)) return "finished";
  if (images.shards < images.units)
    return "unfinished: " + std::to_string(images.shards) + " of " + std::to_string(images.units) + " shards of images";
  if (!status.checkpoint) return "unfinished: all images are made, no student yet";
  if (!status.checkpoint->sound) return "the newest checkpoint is damaged";
  return "unfinished: fine-tuning stands at " + status.checkpoint->phase;
}

ordered_json checkpoint_json(const RunStatus& status) {
  if (!status.checkpoint || !status.checkpoint->sound) return nullptr;
  ordered_json json{{"phase", status.checkpoint->phase}, {"step", status.checkpoint->step}};
  for (const auto& [name, text] : read_attributes(status.checkpoint->file, /*verify=*/false)) {
    if (name == "student_id" || name == "teacher") json[name] = text;
    if (name == "data_free") json[name] = text == "true";
  }
  return json;
}

ordered_json job_json(const Job& job) {
  const SynthesisJob& synthesis = job.synthesis;
  return {{"teacher", job.teacher.weights.string()},
          {"recipe", job.quantization.recipe},
          {"images", synthesis.images},
          {"training_images", kinds_of(synthesis, training_units(synthesis))},
          {"held_out_images", kinds_of(synthesis, held_out_units(synthesis))},
          {"method", synthesis.method},
          {"iterations", synthesis.iterations},
          {"synthesis_seed", synthesis.seed},
          {"finetuning", job.finetuning.method},
          {"finetuning_iterations", job.finetuning.iterations},
          {"finetuning_seed", job.finetuning.seed},
          {"labelled_images", job.evaluation.images.string()},
          {"toml", to_toml(job)}};
}

int64_t bytes_in(const fs::path& folder) {
  int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

/// Texts behind "warning: " of the lines of a log.
void add_warnings(const fs::path& log, std::vector<std::string>& warnings) {
  static const std::string mark = " warning: ";
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);) {
    const size_t at = line.find(mark);
    if (at == std::string::npos) continue;
    const std::string text = line.substr(at + mark.size());
    if (std::ranges::find(warnings, text) == warnings.end()) warnings.push_back(text);
  }
}

}  // namespace

ordered_json run_facts(const RecordedRun& run) {
  return {{"state", state_text(run.status)},
          {"finished", is_finished(run.status)},
          {"shards", run.status.synthesis.shards},
          {"units", run.status.synthesis.units},
          {"checkpoint", checkpoint_json(run.status)},
          {"job", job_json(run.job())},
          {"environment", json_in(run.run.environment())}};
}

ordered_json exports(const RecordedRun& run) {
  std::vector<fs::path> folders;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run.run.root / "export", none)) {
    if (fs::exists(entry.path() / "SHA256SUMS")) folders.push_back(entry.path());
  }
  if (folders.empty()) throw BadInput("nothing was exported from this run directory");
  std::ranges::sort(folders);
  ordered_json targets = ordered_json::array();
  for (const fs::path& folder : folders)
    targets.push_back({{"target", folder.filename().string()}, {"folder", folder.string()}, {"bytes", bytes_in(folder)}});
  return {{"targets", targets}};
}

ordered_json evaluation(const RecordedRun& run) {
  ordered_json figures = json_in(run.run.evaluation());
  if (!figures.is_object()) throw BadInput("`run` has evaluated nothing in this run directory");
  const ordered_json checkpoint = checkpoint_json(run.status);
  const bool ours = checkpoint.is_object() && checkpoint.value("student_id", "") == figures.value("student_id", "-");
  if (!ours) throw BadInput("evaluation.json is of another student than the newest checkpoint's");
  figures["measured_on"] = figures.value("optimistic", false) ? "synthetic" : "labelled";
  return figures;
}

std::vector<std::string> warnings_of(const RecordedRun& run) {
  std::vector<std::string> warnings;
  std::vector<fs::path> logs;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(run.run.root / "log", none)) {
    if (entry.path().extension() == ".log") logs.push_back(entry.path());
  }
  std::ranges::sort(logs);
  for (const fs::path& log : logs) add_warnings(log, warnings);
  return warnings;
}

}  // namespace eidolon::parts
