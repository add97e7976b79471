// The name of this host.
#pragma once

#include <string>

namespace eidolon {

/// As gethostname() gives it, fit for file names and JSON: a byte that is not printable ASCII, and a slash, stand there as %XX.
/// Fault if the system does not tell.
std::string host_name();

}  // namespace eidolon
