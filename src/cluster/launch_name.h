// The name of this launch: one start of the program, over all its ranks.
#pragma once

#include <string>

#include "cluster/communicator.h"

namespace eidolon {

/// Collective. "20260301-120000-n1-4711": UTC, host and pid of rank 0. Sorts by time and is unique where clocks agree; names
/// the folders of logs and heartbeats, so that several launches may work in one run directory.
std::string launch_name(const Communicator& communicator);

}  // namespace eidolon
