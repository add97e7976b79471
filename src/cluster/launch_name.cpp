#include "cluster/launch_name.h"

#include <unistd.h>

#include <ctime>

#include "storage/host_name.h"

namespace eidolon {

std::string launch_name(const Communicator& communicator) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  char time[32] = "";
  if (gmtime_r(&now, &utc) != nullptr) std::strftime(time, sizeof time, "%Y%m%d-%H%M%S", &utc);
  return communicator.broadcast_text(std::string(time) + "-" + host_name() + "-" + std::to_string(getpid()));
}

}  // namespace eidolon
