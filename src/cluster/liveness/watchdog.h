// Notices that a collective does not end, and says which rank is to blame.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/liveness/heartbeat.h"

namespace eidolon {

/// Seconds for which the same collectives have been under way, summed over the calls of tick(). A gap between two calls
/// that is much longer than `interval` (a suspended job) counts as one interval, so that a resumed job is not ended.
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

/// Sign-of-life counts (base/pulse.h) of ranks 0..size-1, from their heartbeats in `folder`; -1 without one.
std::vector<int64_t> pulses_of(const std::filesystem::path& folder, int size);

/// A rank that others wait for.
struct RankBehind {
  int rank = 0;
  std::optional<Beat> beat;  ///< nothing: it has no heartbeat
};

/// The ranks of 0..size-1 whose heartbeat in `folder` is missing, not dated within `stale_seconds` of `now`, or at a lower
/// collective than `collective`.
std::vector<RankBehind> ranks_behind(const std::filesystem::path& folder, int size, int64_t collective, double now,
                                     double stale_seconds);

/// Those of `behind` that gave no sign of life since `pulses_before`.
std::vector<RankBehind> without_sign_of_life(std::vector<RankBehind> behind, const std::vector<int64_t>& pulses_before);

/// "behind: rank 2 on node7 (pid 123), collective 16, finetune reconstruct/blocks.3 step 40, heard of 3 s ago; ..."; for an
/// empty list, what that means.
std::string describe(const std::vector<RankBehind>& behind, double now);

}  // namespace eidolon
