#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/device_kinds.h"
#include "cluster/agreement.h"
#include "cluster/collective_timing.h"
#include "cluster/communicator.h"
#include "cluster/launch/placement.h"
#include "cluster/mpi/session.h"
#include "cluster/on_root.h"
#include "job/provenance.h"
#include "reporting/result.h"
#include "stages/file_system_check.h"
#include "stages/stages.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;
using Verdict = Finding::Verdict;

constexpr double clock_tick = 1e-9;  ///< seconds; nothing takes less, whatever a clock says

Finding versions() {
  return {Verdict::good, "versions",
          "eidolon " + program_version() + ", LibTorch " + TORCH_VERSION + ", NCCL " + nccl_version() + ", " +
              mpi_library_version().substr(0, mpi_library_version().find_first_of(",\n"))};
}

std::vector<Finding> placement_findings(const Cluster& cluster) {
  std::vector<Finding> findings;
  for (const std::string& line : rank_table(cluster.communicator, cluster.placement))
    findings.push_back({Verdict::good, "ranks", line});
  const auto capabilities = cluster.communicator.gather_texts(cpu_capability());
  for (const std::string& capability : capabilities) {
    if (capability == capabilities[0]) continue;
    findings.push_back(
        {Verdict::doubtful, "CPUs",
         capabilities[0] + " and " + capability + ": images made on them differ in last bits; set ATEN_CPU_CAPABILITY"});
    break;
  }
  return findings;
}

/// A product in the working precisions against float64 on the CPU.
Finding check_arithmetic(const Cluster& cluster) {
  const at::Device device = cluster.placement.device;
  constexpr int64_t side = 256;
  const Tensor a = at::linspace(-1, 1, side * side).reshape({side, side}), b = a.cos();
  const Tensor exact = at::matmul(a.to(at::kDouble), b.to(at::kDouble));
  const auto error_in = [&](at::ScalarType type) {
    const Tensor product = at::matmul(a.to(device).to(type), b.to(device).to(type)).cpu().to(at::kDouble);
    return ((product - exact).norm() / exact.norm()).item<double>();
  };
  const double single = error_in(at::kFloat), half = error_in(at::kBFloat16);
  const bool right = cluster.communicator.max(single < 1e-5 && half < 2e-2 ? 0 : 1) == 0;
  char text[128] = "";
  if (std::isfinite(single) && std::isfinite(half)) {
    std::snprintf(text, sizeof text, "matrix products on %s: relative error %.1e in fp32, %.1e in bf16", device.str().c_str(),
                  single, half);
  } else {
    std::snprintf(text, sizeof text, "matrix products on %s are not finite", device.str().c_str());
  }
  return {right ? Verdict::good : Verdict::bad, "arithmetic",
          right ? text : std::string(text) + " on some rank; check the driver"};
}

Finding describe(const std::vector<CollectiveTiming>& timings, const at::Device& device) {
  char text[128];
  const CollectiveTiming& largest = timings.back();
  std::snprintf(text, sizeof text, "%.1f us for 4 bytes, %.2f GB/s for 64 MiB, every sum right", timings.front().seconds * 1e6,
                static_cast<double>(largest.bytes) / std::max(largest.seconds, clock_tick) * 1e-9);
  return {Verdict::good, "all-reduce, " + device_kind(device), text};
}

const char* name_of(Verdict verdict) {
  if (verdict == Verdict::good) return "good";
  return verdict == Verdict::doubtful ? "doubtful" : "bad";
}

ordered_json json_of(const std::vector<CollectiveTiming>& timings) {
  ordered_json list = ordered_json::array();
  for (const CollectiveTiming& timing : timings) list.push_back({{"bytes", timing.bytes}, {"seconds", timing.seconds}});
  return list;
}

ordered_json json_of(const std::vector<Finding>& findings) {
  ordered_json list = ordered_json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"verdict", name_of(finding.verdict)}, {"subject", finding.subject}, {"text", finding.text}});
  }
  return list;
}

std::string table_of(const std::vector<Finding>& findings) {
  std::string table;
  for (const Finding& finding : findings) {
    char start[64];
    std::snprintf(start, sizeof start, "%-9s %-16s ", name_of(finding.verdict), finding.subject.c_str());
    table += start + finding.text + "\n";
  }
  return table;
}

}  // namespace

ExitCode doctor(const Cluster& cluster, const std::filesystem::path& folder, bool json) {
  std::vector<Finding> findings{versions()};
  const auto append = [&](std::vector<Finding> more) { findings.insert(findings.end(), more.begin(), more.end()); };
  append(placement_findings(cluster));
  append({check_arithmetic(cluster)});
  ordered_json timings;
  for (const at::Device device : {at::Device(at::kCPU), cluster.placement.device}) {
    if (timings.contains(device_kind(device))) continue;
    const auto measured = time_all_reduce(cluster.communicator, device);
    timings[device_kind(device)] = json_of(measured);
    append({describe(measured, device)});
  }
  append(check_file_system(cluster, folder));

  bool sound = true;
  for (const Finding& finding : findings) sound = sound && finding.verdict != Verdict::bad;
  on_root(cluster.communicator, [&] {
    const ordered_json object{{"ranks", cluster.size()}, {"findings", json_of(findings)}, {"all_reduce", timings}};
    print_result(json ? json_text(object) + "\n" : table_of(findings));
  });
  return sound ? ExitCode::done : ExitCode::internal_fault;
}

}  // namespace eidolon
