#include "cluster/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

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

}  // namespace

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

}  // namespace eidolon
