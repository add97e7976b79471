// metrics.jsonl: one JSON object per line, append only; cut back to the checkpoint's step on resume.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "reporting/progress.h"

namespace eidolon {

class MetricsLog {
 public:
  explicit MetricsLog(std::filesystem::path file, bool active = true);  ///< inactive on ranks other than 0
  /// {"stage":..,"step":..,"time":<unix seconds>,<figures>}; a figure that is not finite is null, and "undefined" says why:
  /// {"loss": "not a number"}. Fault if it cannot be written.
  void append(const std::string& stage, int64_t step, const Figures& figures);
  /// Removes lines of `stage` and of stages below it ("finetune" covers "finetune/distill") whose step is greater than `step`,
  /// and a torn last line. Atomic.
  void cut_back(const std::string& stage, int64_t step);

 private:
  std::filesystem::path file_;
  bool active_;
};

}  // namespace eidolon
