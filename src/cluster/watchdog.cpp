#include "cluster/watchdog.h"

#include <algorithm>

#include "cluster/heartbeat_file.h"

namespace eidolon {

double StuckTime::tick(double elapsed, int64_t entered, int64_t finished) {
  const bool moved = entered != entered_ || finished != finished_;
  entered_ = entered;
  finished_ = finished;
  stuck_ = moved || entered == finished ? 0 : stuck_ + std::min(elapsed, 2 * interval_);
  return stuck_;
}

std::string ranks_behind(const std::filesystem::path& folder, int size, int64_t collective, double now, double stale_seconds) {
  std::string names;
  for (int rank = 0; rank < size; ++rank) {
    const auto beat = read_beat(beat_file(folder, rank));
    const std::string name = (names.empty() ? "behind: rank " : "; rank ") + std::to_string(rank);
    if (!beat) {
      names += name + ", which has no heartbeat";
    } else if (beat->collective < collective || now - beat->time > stale_seconds) {
      names += name + " on " + beat->host + " (pid " + std::to_string(beat->pid) + "), collective " +
               std::to_string(beat->collective) + ", " + beat->stage + " " + beat->detail + ", heard of " +
               std::to_string(static_cast<int64_t>(now - beat->time)) + " s ago";
    }
  }
  return names.empty() ? "no rank is behind, so the network or the library hangs" : names;
}

}  // namespace eidolon
