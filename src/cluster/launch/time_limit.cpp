#include "cluster/launch/time_limit.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "cluster/liveness/heartbeat.h"

namespace eidolon {

double end_of_allocation() {
  for (const char* name : {"EIDOLON_END_TIME", "SLURM_JOB_END_TIME"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error == std::errc{} && end == text.data() + text.size() && seconds > 0) return seconds;
    throw BadInput(std::string(name) + " is '" + std::string(text) +
                   "'; give the end of the job in seconds since 1970, or unset it");
  }
  return std::numeric_limits<double>::infinity();
}

double time_to_stop(double margin_seconds) {
  const double end = end_of_allocation();
  return end - std::min(margin_seconds, std::max(0.0, (end - unix_seconds()) / 4));
}

}  // namespace eidolon
