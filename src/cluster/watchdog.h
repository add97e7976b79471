// Notices that a collective does not end, and says which rank is to blame.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace eidolon {

/// Seconds for which the same collectives have been under way, summed over the calls of tick(). A gap between two calls
/// that is much longer than `interval` (a suspended job) counts as one interval, so that a resumed job is not ended.
class StuckTime {
 public:
  explicit StuckTime(double interval) : interval_(interval) {}
  double tick(double elapsed, int64_t entered, int64_t finished);

 private:
  double interval_;
  double stuck_ = 0;
  int64_t entered_ = -1, finished_ = -1;
};

/// "behind: rank 2 on node7 (pid 123), collective 16, finetune reconstruct/blocks.3 step 40, heard of 3 s ago; ..." Names the
/// ranks of 0..size-1 whose heartbeat in `folder` is missing, older than `stale_seconds` or at a lower collective than
/// `collective`; if there are none, says so.
std::string ranks_behind(const std::filesystem::path& folder, int size, int64_t collective, double now, double stale_seconds);

}  // namespace eidolon
