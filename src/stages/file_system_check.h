// Does a folder keep what runs rely on: names that only one process can create, renames that all nodes see, clocks that agree?
#pragma once

#include <filesystem>
#include <vector>

#include "cluster/cluster.h"
#include "stages/finding.h"

namespace eidolon {

/// Collective. Works in a folder of its own inside `folder`, and removes it.
std::vector<Finding> check_file_system(const Cluster& cluster, const std::filesystem::path& folder);

}  // namespace eidolon
