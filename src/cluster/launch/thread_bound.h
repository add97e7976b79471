// The number of threads that a rank may use if the job does not set it: from the affinity mask, the CPU quota of the
// control group and OMP_NUM_THREADS.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace eidolon {

/// The logical CPUs in the affinity mask of this process, ascending and never empty. Throws Fault if the system call
/// fails.
std::vector<int> affinity_mask();

/// The CPU quota in cores (2.5: five seconds of CPU time every two seconds); none without a limit. It is the minimum
/// over the process's control group and its ancestors. Reads cpu.max (cgroup v2) and cpu.cfs_quota_us (cgroup v1).
///
/// `process` is the file that lists the groups, `mount` the folder where they are mounted. The root of the mount is
/// read too: a container that sees only its own group has it there, whatever path `process` states.
std::optional<double> cpu_quota(const std::filesystem::path& process = "/proc/self/cgroup",
                                const std::filesystem::path& mount = "/sys/fs/cgroup");

/// The CPU time that this rank may use, as the system states it.
struct ProcessorShare {
  int64_t cores = 1;           ///< CPUs in the affinity mask
  int64_t ranks_on_cores = 1;  ///< ranks of this host with the same mask
  int64_t ranks_on_host = 1;
  std::string omp_num_threads;  ///< the environment variable; empty if not set
  std::optional<double> quota;  ///< cpu_quota(), shared by all ranks of the host
};

struct ThreadBound {
  int64_t threads = 1;
  std::string by;  ///< what decided it: "cores", "OMP_NUM_THREADS" or "CPU quota of 2.5 cores"
};

/// The minimum of three numbers, rounded down, at least 1: the cores divided by the ranks that share them;
/// OMP_NUM_THREADS if it is positive (the first of a list "4,2"); and the quota divided by the ranks of the host.
ThreadBound bound_threads(const ProcessorShare& share);

}  // namespace eidolon
