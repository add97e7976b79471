#include "cluster/liveness/watchdog.h"

#include <algorithm>
#include <utility>

namespace eidolon {

double StuckTime::tick(double elapsed, int64_t entered, int64_t finished) {
  const bool moved = entered != entered_ || finished != finished_;
  entered_ = entered;
  finished_ = finished;
  stuck_ = moved || entered == finished ? 0 : stuck_ + std::min(elapsed, 2 * interval_);
  return stuck_;
}

std::vector<int64_t> pulses_of(const std::filesystem::path& folder, int size) {
  std::vector<int64_t> pulses;
  for (int rank = 0; rank < size; ++rank) {
    const auto beat = read_beat(beat_file(folder, rank));
    pulses.push_back(beat ? beat->pulses : -1);
  }
  return pulses;
}

std::vector<RankBehind> ranks_behind(const std::filesystem::path& folder, int size, int64_t collective, double now,
                                     double stale_seconds) {
  std::vector<RankBehind> behind;
  for (int rank = 0; rank < size; ++rank) {
    auto beat = read_beat(beat_file(folder, rank));
    const bool there = beat && beat->collective >= collective && is_recent(beat->time, now, stale_seconds);
    if (!there) behind.push_back({rank, std::move(beat)});
  }
  return behind;
}

std::vector<RankBehind> without_sign_of_life(std::vector<RankBehind> behind, const std::vector<int64_t>& pulses_before) {
  std::erase_if(behind, [&](const RankBehind& entry) {
    return entry.beat && entry.beat->pulses != pulses_before[static_cast<size_t>(entry.rank)];
  });
  return behind;
}

std::string describe(const std::vector<RankBehind>& behind, double now) {
  std::string names;
  for (const auto& [rank, beat] : behind) {
    names += (names.empty() ? "behind: rank " : "; rank ") + std::to_string(rank);
    if (!beat) {
      names += ", which has no heartbeat";
    } else {
      names += " on " + beat->host + " (pid " + std::to_string(beat->pid) + "), collective " +
               std::to_string(beat->collective) + ", " + beat->stage + " " + beat->detail + ", heard of " +
               std::to_string(static_cast<int64_t>(now - beat->time)) + " s ago";
    }
  }
  return names.empty() ? "no rank is behind, so the network or the library hangs" : names;
}

}  // namespace eidolon
