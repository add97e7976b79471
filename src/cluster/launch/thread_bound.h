// How many threads a rank may use where the job leaves it open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace eidolon {

/// Numbers of the logical CPUs in the affinity mask, ascending; never empty. mpirun binds each of two ranks to one core.
std::vector<int> affinity_mask();

/// In cores (2.5: five seconds of CPU time every two seconds), the least of the process's control group and those above it;
/// nothing without a limit. Reads cpu.max (cgroup v2) and cpu.cfs_quota_us (v1), both where a machine has both. `process` is
/// the file that names the groups, `mount` the folder that shows them. In a container that shows only its own group, that
/// group stands at the mount itself, wherever the process believes to be.
std::optional<double> cpu_quota(const std::filesystem::path& process = "/proc/self/cgroup",
                                const std::filesystem::path& mount = "/sys/fs/cgroup");

/// What a rank knows of the processor time that is meant for it.
struct ProcessorShare {
  int64_t cores = 1;           ///< of the affinity mask
  int64_t ranks_on_cores = 1;  ///< ranks of this host with an equal mask
  int64_t ranks_on_host = 1;
  std::string omp_num_threads;  ///< the environment variable; empty: not set
  std::optional<double> quota;  ///< of the container, in cores, for all ranks of the host
};

struct ThreadBound {
  int64_t threads = 1;
  std::string by;  ///< "cores", "OMP_NUM_THREADS" or "CPU quota of 2.5 cores"
};

/// The least of: the cores divided by the ranks that share them, OMP_NUM_THREADS if it is a positive number (of a list "4,2"
/// the first), and the quota divided by the ranks of the host; rounded down, at least 1.
ThreadBound bound_threads(const ProcessorShare& share);

}  // namespace eidolon
