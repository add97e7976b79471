// heartbeat/rank-NNNN.json: what a rank last said of itself. Written by Heartbeat, read by the watchdog and by `status`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace eidolon {

struct Beat {
  int rank = 0;
  std::string host;
  int64_t pid = 0;
  std::string stage;
  std::string detail;
  int64_t collective = 0;  ///< number of the newest collective this rank has begun
  double time = 0;         ///< unix seconds at which this was written
};

std::filesystem::path beat_file(const std::filesystem::path& folder, int rank);

void write_beat(const std::filesystem::path& folder, const Beat& beat);  ///< atomically; throws Fault

/// Nothing if the file is absent, torn or not a heartbeat.
std::optional<Beat> read_beat(const std::filesystem::path& file);

double unix_seconds();

}  // namespace eidolon
