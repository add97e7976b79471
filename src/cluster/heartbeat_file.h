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
  int64_t collective = 0;      ///< number of the newest collective this rank has begun
  double time = 0;             ///< unix seconds at which this was written
  int64_t pulses = 0;          ///< signs of life of the main thread (base/pulse.h)
  bool ended = false;          ///< the last beat of a process that leaves, by an error too
  double done = 0, total = 0;  ///< of the stage, in `unit`; total 0: not known
  double rate = 0;             ///< `unit` per second
  std::string unit = {};       ///< "views", "images", ...
};

std::filesystem::path beat_file(const std::filesystem::path& folder, int rank);

void write_beat(const std::filesystem::path& folder, const Beat& beat);  ///< atomically; throws Fault

/// Nothing if the file is absent, torn or not a heartbeat.
std::optional<Beat> read_beat(const std::filesystem::path& file);

/// Removes the folders of launches that have ended, and of those not heard of within an hour (is_recent). Never throws.
void forget_old_heartbeats(const std::filesystem::path& heartbeats);

double unix_seconds();

/// Whether what is dated `time` was heard of within `stale_seconds`. A date so far ahead of `now` counts as little as one so
/// far behind: it comes from a clock that runs wrong, and would else hold until that time has come.
bool is_recent(double time, double now, double stale_seconds);

}  // namespace eidolon
