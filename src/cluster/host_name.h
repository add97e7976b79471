// The name of this host, as gethostname() gives it.
#pragma once

#include <string>

namespace eidolon {

std::string host_name();  ///< Fault if the system does not tell

}  // namespace eidolon
