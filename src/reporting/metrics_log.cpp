#include "reporting/metrics_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "base/bounded_json.h"
#include "reporting/result.h"
#include "storage/atomic_file.h"
#include "storage/posix_file.h"

namespace eidolon {
namespace {

/// What a killed process left is a line without an end; a new line must not be glued to it.
bool ends_within_a_line(int file, const std::filesystem::path& path) {
  struct stat status {};
  if (fstat(file, &status) != 0) throw_system_error("read", path, errno);
  if (status.st_size == 0) return false;
  char last = 0;
  if (pread(file, &last, 1, status.st_size - 1) != 1) throw_system_error("read", path, errno);
  return last != '\n';
}

/// One write() of a whole line on O_APPEND: lines never mix, and a kill tears at most the last.
void append_line(const std::filesystem::path& path, std::string line) {
  const int file = open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file < 0) throw_system_error("open", path, errno);
  const auto close_file = [](const int* descriptor) { close(*descriptor); };
  const std::unique_ptr<const int, decltype(close_file)> closer(&file, close_file);
  if (ends_within_a_line(file, path)) line = "\n" + line;
  const ssize_t written = write(file, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) throw_system_error("write", path, written < 0 ? errno : ENOSPC);
}

/// False for lines to drop: torn ones, and those of `stage` and what is below it after `step`.
bool keeps(const std::string& line, const std::string& stage, int64_t step) {
  const auto json = bounded_json(line);
  if (!json.is_object()) return false;
  const auto its_stage = json.find("stage");
  const auto its_step = json.find("step");
  if (its_stage == json.end() || its_step == json.end() || !its_step->is_number_integer()) return true;
  const std::string name = its_stage->is_string() ? its_stage->get<std::string>() : "";
  const bool covered = name == stage || name.starts_with(stage + "/");
  return !covered || its_step->get<int64_t>() <= step;
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path file, bool active) : file_(std::move(file)), active_(active) {}

void MetricsLog::append(const std::string& stage, int64_t step, const Figures& figures) {
  if (!active_) return;
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  nlohmann::ordered_json json = {{"stage", stage}, {"step", step}, {"time", now.count()}};
  nlohmann::ordered_json undefined;
  for (const auto& [name, value] : figures) {
    json[name] = value;  // null if it is not finite
    if (!std::isfinite(value)) undefined[name] = std::isnan(value) ? "not a number" : "infinite";
  }
  if (!undefined.is_null()) json["undefined"] = undefined;
  append_line(file_, json_text(json) + "\n");
}

void MetricsLog::cut_back(const std::string& stage, int64_t step) {
  if (!active_ || !std::filesystem::exists(file_)) return;
  const std::string before = read_text(file_);
  std::string after;
  std::istringstream lines(before);
  for (std::string line; std::getline(lines, line);) {
    if (keeps(line, stage, step)) after += line + "\n";
  }
  if (after != before) write_text_atomically(file_, after);
}

void for_metrics(const std::filesystem::path& file, const std::function<void(const nlohmann::ordered_json&)>& look) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const auto json = bounded_json<nlohmann::ordered_json>(line);
    const bool is_metric = json.is_object() && json.contains("stage") && json["stage"].is_string() && json.contains("step") &&
                           json["step"].is_number_integer();
    if (is_metric) look(json);
  }
}

}  // namespace eidolon
