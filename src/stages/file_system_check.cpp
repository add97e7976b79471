#include "stages/file_system_check.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <system_error>

#include "base/error.h"
#include "cluster/liveness/heartbeat.h"
#include "cluster/on_root.h"
#include "stages/stopwatch.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

using Verdict = Finding::Verdict;

constexpr double patience = 90;  ///< seconds; NFS may keep what it knows of a folder for 60

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 1 ? "%.1f ms" : "%.1f s", seconds < 1 ? seconds * 1000 : seconds);
  return text;
}

double largest(const Communicator& communicator, double seconds) {
  return static_cast<double>(communicator.max(static_cast<int64_t>(seconds * 1e6))) * 1e-6;
}

/// All ranks try to create one name at once.
Finding check_exclusive_names(const Communicator& communicator, const std::filesystem::path& folder) {
  int64_t winners = 0;
  constexpr int rounds = 20;
  for (int round = 0; round < rounds; ++round) {
    communicator.barrier();
    const std::string own = std::to_string(communicator.rank());
    winners += create_exclusively(folder / ("claim-" + std::to_string(round)), own) ? 1 : 0;
  }
  const auto all = static_cast<int64_t>(communicator.sum(static_cast<double>(winners)));
  if (all == rounds)
    return {Verdict::good, "exclusive names", "one of " + std::to_string(communicator.size()) + " ranks gets each"};
  return {
      Verdict::bad, "exclusive names",
      std::to_string(all) + " ranks got " + std::to_string(rounds) + " names; claims would not hold: use another file system"};
}

/// Every rank writes a file and waits for those of all others.
Finding check_visibility(const Communicator& communicator, const std::filesystem::path& folder) {
  const auto file_of = [&](int rank) { return folder / ("seen-" + std::to_string(rank)); };
  const Stopwatch writing;
  write_text_atomically(file_of(communicator.rank()), "here\n");
  const double written = largest(communicator, writing.seconds());
  const Stopwatch watch;
  int64_t unseen = 0;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const double left = std::max(patience - watch.seconds(), 0.0);
    const bool whole = await_file(file_of(rank), left) && read_text(file_of(rank)) == "here\n";
    if (!whole) ++unseen;
  }
  const double waited = largest(communicator, watch.seconds());
  if (communicator.max(unseen) > 0) {
    return {Verdict::bad, "shared folder",
            "some ranks do not see the files of others; put the run directory where all nodes see it"};
  }
  return {
      waited < 10 ? Verdict::good : Verdict::doubtful, "shared folder",
      "a durable write and rename takes " + seconds_text(written) + ", all ranks see all files after " + seconds_text(waited)};
}

Finding check_clocks(const Communicator& communicator) {
  communicator.barrier();
  const double now = unix_seconds();
  const double first = -static_cast<double>(communicator.max(static_cast<int64_t>(-now * 1e3))) * 1e-3;
  const double last = static_cast<double>(communicator.max(static_cast<int64_t>(now * 1e3))) * 1e-3;
  const std::string spread = "the clocks of the ranks are within " + seconds_text(last - first);
  if (last - first < 10) return {Verdict::good, "clocks", spread};
  return {Verdict::bad, "clocks", spread + "; heartbeats would be misread: set the nodes' clocks (NTP)"};
}

Finding check_space(const std::filesystem::path& folder) {
  const auto space = std::filesystem::space(folder);
  char text[64];
  std::snprintf(text, sizeof text, "%.1f GB free", static_cast<double>(space.available) / 1e9);
  return {space.available > 1'000'000'000 ? Verdict::good : Verdict::doubtful, "free space", text};
}

}  // namespace

std::vector<Finding> check_file_system(const Cluster& cluster, const std::filesystem::path& folder) {
  const Communicator& communicator = cluster.communicator;
  const std::filesystem::path own = folder / (".doctor-" + cluster.launch);
  on_root(communicator, [&] {
    std::error_code error;
    std::filesystem::create_directories(own, error);
    if (error) throw BadInput("cannot create " + own.string() + ": " + error.message() + "; give a folder to write into");
  });
  std::vector<Finding> findings;
  if (communicator.max(await_file(own, patience) ? 0 : 1) != 0) {
    findings = {
        {Verdict::bad, "shared folder", "some ranks do not see " + own.string() + "; give a folder that all nodes see"}};
  } else {
    findings = {check_exclusive_names(communicator, own), check_visibility(communicator, own), check_clocks(communicator),
                check_space(own)};
  }
  communicator.barrier();
  std::error_code ignored;
  if (cluster.is_root()) std::filesystem::remove_all(own, ignored);
  return findings;
}

}  // namespace eidolon
