#include "job/provenance.h"

#include <torch/version.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string_view>

#include "job/format_version.h"

namespace eidolon {
namespace {

constexpr std::string_view git_describe = EIDOLON_GIT_DESCRIBE;

/// MPI libraries end their text with a line break or a null byte, and some put the build host on further lines.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find_first_of(std::string_view("\n\r\0", 3)));
}

}  // namespace

std::string program_version() {
  const std::string version = EIDOLON_VERSION;
  return git_describe.empty() ? version : version + " (" + std::string(git_describe) + ")";
}

std::string iso_8601(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  char text[32] = "";
  if (gmtime_r(&seconds, &utc) != nullptr) {
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  }
  return text;
}

std::string environment_json(const Provenance& provenance) {
  nlohmann::ordered_json json;
  json["program"] = EIDOLON_VERSION;
  json["git"] = git_describe;
  json["format_version"] = format_version;
  json["libtorch"] = TORCH_VERSION;
  json["mpi"] = first_line(provenance.mpi_library);
  json["ranks"] = provenance.hosts.size();
  json["hosts"] = provenance.hosts;
  json["device"] = provenance.device;
  json["threads_per_rank"] = provenance.threads;
  json["start"] = iso_8601(provenance.start);
  json["command_line"] = provenance.command_line;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace eidolon
