// metrics.jsonl: one JSON object per line. It is appended to, and truncated to the step of the checkpoint on resume.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "reporting/progress.h"

namespace eidolon {

class MetricsLog {
 public:
  explicit MetricsLog(std::filesystem::path file, bool active = true);  ///< inactive on ranks other than 0
  /// Appends {"stage":..,"step":..,"time":<Unix seconds>,<figures>}. A figure that is not finite becomes null, and the
  /// member "undefined" says why: {"loss": "not a number"}. Throws Fault if the file cannot be written.
  void append(const std::string& stage, int64_t step, const Figures& figures);
  /// Removes the lines of `stage` and its substages ("finetune" covers "finetune/distill") whose step is greater than
  /// `step`, and an incomplete last line. Atomic.
  void cut_back(const std::string& stage, int64_t step);

 private:
  std::filesystem::path file_;
  bool active_;
};

/// Calls `look` for each line of such a file that is whole and has a "stage" and a "step". Nothing if the file is not there.
void for_metrics(const std::filesystem::path& file, const std::function<void(const nlohmann::ordered_json&)>& look);

}  // namespace eidolon
