#include "storage/host_name.h"

#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "base/error.h"
#include "storage/percent_encoding.h"

namespace eidolon {

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};  // a longer name is cut; the last byte stays 0
  if (gethostname(name, sizeof name - 1) != 0) throw Fault(std::string("gethostname failed: ") + std::strerror(errno));
  return percent_encoded(name, "/");
}

}  // namespace eidolon
