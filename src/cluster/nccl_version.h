// Which NCCL this process has loaded.
#pragma once

#include <string>

namespace eidolon {

std::string nccl_version();  ///< "2.28.9", or "none in this build"

}  // namespace eidolon
