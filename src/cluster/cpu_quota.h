// The CPU time that a container or batch system grants this process.
#pragma once

#include <filesystem>
#include <optional>

namespace eidolon {

/// In cores (2.5: five seconds of CPU time every two seconds), the least of the process's control group and those above it;
/// nothing without a limit. Reads cpu.max (cgroup v2) and cpu.cfs_quota_us (v1), both where a machine has both. `process` is
/// the file that names the groups, `mount` the folder that shows them. In a container that shows only its own group, that
/// group stands at the mount itself, wherever the process believes to be.
std::optional<double> cpu_quota(const std::filesystem::path& process = "/proc/self/cgroup",
                                const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace eidolon
