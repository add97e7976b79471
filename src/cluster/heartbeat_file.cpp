#include "cluster/heartbeat_file.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "storage/atomic_file.h"

namespace eidolon {

std::filesystem::path beat_file(const std::filesystem::path& folder, int rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank-%04d.json", rank);
  return folder / name;
}

void write_beat(const std::filesystem::path& folder, const Beat& beat) {
  const nlohmann::ordered_json json = {{"rank", beat.rank},   {"host", beat.host},     {"pid", beat.pid},
                                       {"stage", beat.stage}, {"detail", beat.detail}, {"collective", beat.collective},
                                       {"time", beat.time},   {"pulses", beat.pulses}, {"ended", beat.ended},
                                       {"done", beat.done},   {"total", beat.total},   {"rate", beat.rate},
                                       {"unit", beat.unit}};
  const auto replace_bad_utf8 = nlohmann::ordered_json::error_handler_t::replace;
  write_text_atomically(beat_file(folder, beat.rank), json.dump(-1, ' ', false, replace_bad_utf8) + "\n");
}

std::optional<Beat> read_beat(const std::filesystem::path& file) {
  try {
    const auto json = nlohmann::json::parse(read_text(file));
    return Beat{json.at("rank"),       json.at("host"), json.at("pid"),    json.at("stage"), json.at("detail"),
                json.at("collective"), json.at("time"), json.at("pulses"), json.at("ended"), json.at("done"),
                json.at("total"),      json.at("rate"), json.at("unit")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Fault&) {
    return std::nullopt;
  }
}

// Launches come and go beside this one, so whatever vanishes in between is none of its business.
void forget_old_heartbeats(const std::filesystem::path& heartbeats) {
  constexpr double settled = 60, long_silent = 3600;  // seconds
  std::error_code ignored;
  for (const auto& launch : std::filesystem::directory_iterator(heartbeats, ignored)) {
    const auto beat = read_beat(beat_file(launch.path(), 0));
    if (!beat) continue;
    const double kept = beat->ended ? settled : long_silent;
    if (!is_recent(beat->time, unix_seconds(), kept)) std::filesystem::remove_all(launch.path(), ignored);
  }
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool is_recent(double time, double now, double stale_seconds) {
  return std::abs(now - time) <= stale_seconds;  // false for a time that is not a number
}

}  // namespace eidolon
