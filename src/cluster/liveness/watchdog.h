// The watchdog's decisions: whether a collective hangs, and which rank the others wait for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/liveness/heartbeat.h"

namespace eidolon {

/// The time for which this rank has been inside the same collective, in seconds.
///
/// tick() adds the time elapsed since the last call, at most twice `interval`. A job that was suspended for long is so
/// not ended when it resumes.
class StuckTime {
 public:
  explicit StuckTime(double interval) : interval_(interval) {}
  double tick(double elapsed, int64_t entered, int64_t finished);
  void restart_from(double seconds) { stuck_ = seconds; }

 private:
  double interval_;
  double stuck_ = 0;
  int64_t entered_ = -1, finished_ = -1;
};

/// Beat::pulses of ranks 0 to size - 1, from their heartbeats in `folder`; -1 for a rank without one.
std::vector<int64_t> pulses_of(const std::filesystem::path& folder, int size);

/// A rank that the others wait for.
struct RankBehind {
  int rank = 0;
  std::optional<Beat> beat;  ///< none if it has no heartbeat
};

/// The ranks whose heartbeat in `folder` is missing, not recent (is_recent), or at a lower collective than
/// `collective`.
std::vector<RankBehind> ranks_behind(const std::filesystem::path& folder, int size, int64_t collective, double now,
                                     double stale_seconds);

/// Those of `behind` whose pulses have not changed since `pulses_before`, which pulses_of() returned.
std::vector<RankBehind> without_sign_of_life(std::vector<RankBehind> behind, const std::vector<int64_t>& pulses_before);

/// The text for the log: "behind: rank 2 on node7 (pid 123), collective 16, finetune reconstruct/blocks.3 step 40,
/// heard of 3 s ago; ...". An empty list means that the network or the library hangs, and the text says so.
std::string describe(const std::vector<RankBehind>& behind, double now);

}  // namespace eidolon
