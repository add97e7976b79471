#include "cluster/launch/thread_bound.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>
#include <system_error>

#include "base/error.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

std::optional<double> positive_number(const fs::path& file) {
  std::ifstream stream(file);
  double value = 0;
  if (!(stream >> value) || !(value > 0)) return std::nullopt;  // "max" and -1 stand for no limit
  return value;
}

/// cpu.max holds "QUOTA PERIOD" in microseconds, or "max PERIOD".
std::optional<double> quota_of_v2(const fs::path& group) {
  std::ifstream stream(group / "cpu.max");
  double quota = 0, period = 0;
  if (!(stream >> quota >> period) || !(quota > 0) || !(period > 0)) return std::nullopt;
  return quota / period;
}

std::optional<double> quota_of_v1(const fs::path& group) {
  const auto quota = positive_number(group / "cpu.cfs_quota_us"), period = positive_number(group / "cpu.cfs_period_us");
  if (!quota || !period) return std::nullopt;
  return *quota / *period;
}

bool names_the_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

/// A line of /proc/self/cgroup: "0::/a/b" of v2, "4:cpu,cpuacct:/a/b" of v1.
struct Membership {
  std::string controllers;
  fs::path group;
};

std::vector<Membership> memberships(const fs::path& process) {
  std::vector<Membership> found;
  std::ifstream lines(process);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string number, controllers, group;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, group);
    // ".." leads out of what this container sees
    if (group.starts_with('/')) found.push_back({controllers, fs::path(group).lexically_normal().relative_path()});
  }
  return found;
}

/// 0 if the text begins with no number, or with what goes on otherwise than a list does.
int64_t first_of_list(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  return error == std::errc{} && (rest.empty() || rest.find_first_of(", \t") == 0) ? value : 0;
}

std::string quota_text(double cores) {
  char text[64];
  std::snprintf(text, sizeof text, "CPU quota of %.3g cores", cores);
  return text;
}

}  // namespace

std::vector<int> affinity_mask() {
  // The kernel refuses (EINVAL) a mask shorter than its own, whose length it does not tell.
  for (int limit = CPU_SETSIZE; limit <= (1 << 20); limit *= 2) {
    const auto free_set = [](cpu_set_t* set) { CPU_FREE(set); };
    const std::unique_ptr<cpu_set_t, decltype(free_set)> set(CPU_ALLOC(limit), free_set);
    const std::size_t bytes = CPU_ALLOC_SIZE(limit);
    if (!set) break;
    CPU_ZERO_S(bytes, set.get());
    if (sched_getaffinity(0, bytes, set.get()) == 0) {
      std::vector<int> cpus;
      for (int cpu = 0; cpu < limit; ++cpu) {
        if (CPU_ISSET_S(cpu, bytes, set.get())) cpus.push_back(cpu);
      }
      return cpus;
    }
    if (errno != EINVAL) break;
  }
  throw Fault(std::string("sched_getaffinity failed: ") + std::strerror(errno));
}

std::optional<double> cpu_quota(const fs::path& process, const fs::path& mount) {
  std::optional<double> least;
  const auto consider = [&](const std::optional<double>& quota) {
    if (quota) least = std::min(quota.value(), least.value_or(*quota));
  };
  for (const auto& [controllers, group] : memberships(process)) {
    if (!controllers.empty() && !names_the_cpu(controllers)) continue;
    for (fs::path up = group;; up = up.parent_path()) {
      if (controllers.empty()) {
        for (const fs::path& root : {mount, mount / "unified"}) consider(quota_of_v2(root / up));
      } else {
        for (const fs::path& root : {mount / controllers, mount / "cpu"}) consider(quota_of_v1(root / up));
      }
      if (up.empty()) break;
    }
  }
  return least;
}

ThreadBound bound_threads(const ProcessorShare& share) {
  ThreadBound bound{std::max<int64_t>(1, share.cores / share.ranks_on_cores), "cores"};
  const auto lower_to = [&](int64_t threads, const std::string& by) {
    if (threads < bound.threads) bound = {threads, by};
  };
  if (const int64_t asked = first_of_list(share.omp_num_threads); asked > 0) lower_to(asked, "OMP_NUM_THREADS");
  if (share.quota) {
    const double each = std::floor(*share.quota / static_cast<double>(share.ranks_on_host));
    lower_to(std::max<int64_t>(1, static_cast<int64_t>(std::min(each, 1e6))), quota_text(*share.quota));
  }
  return bound;
}

}  // namespace eidolon
