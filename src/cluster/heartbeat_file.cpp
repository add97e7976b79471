#include "cluster/heartbeat_file.h"

#include <chrono>
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
                                       {"time", beat.time}};
  const auto replace_bad_utf8 = nlohmann::ordered_json::error_handler_t::replace;
  write_text_atomically(beat_file(folder, beat.rank), json.dump(-1, ' ', false, replace_bad_utf8) + "\n");
}

std::optional<Beat> read_beat(const std::filesystem::path& file) {
  try {
    const auto json = nlohmann::json::parse(read_text(file));
    return Beat{json.at("rank"),   json.at("host"),       json.at("pid"), json.at("stage"),
                json.at("detail"), json.at("collective"), json.at("time")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Fault&) {
    return std::nullopt;
  }
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace eidolon
