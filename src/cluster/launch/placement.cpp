#include "cluster/launch/placement.h"

#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/device_kinds.h"
#include "base/error.h"
#include "cluster/launch/accelerators.h"
#include "cluster/launch/thread_bound.h"
#include "cluster/log.h"
#include "storage/posix_file.h"

namespace eidolon {
namespace {

using Texts = std::vector<std::string>;

std::string place(int rank, const Texts& hosts) {
  return "rank " + std::to_string(rank) + " on " + hosts[rank];
}

std::string known_kinds() {
  std::string list = "auto";
  for (const std::string_view kind : device_kinds()) list.append(", ").append(kind);
  return list;
}

/// A CPU run where somebody expected a GPU would be a hundred times slower without a word.
void warn_of_unusable_gpus(const Communicator& communicator, const Texts& hosts) {
  const Texts reasons = communicator.gather_texts(unusable_gpu());
  const auto found = std::ranges::find_if(reasons, [](const std::string& reason) { return !reason.empty(); });
  if (found == reasons.end() || communicator.rank() != 0) return;
  log::warn(place(static_cast<int>(found - reasons.begin()), hosts) + ": " + *found +
            ", but LibTorch can use no GPU, so all ranks use their CPUs; check the driver's age with nvidia-smi, and that "
            "this build has CUDA");
}

/// The kind of device of this run. Every rank decides from the same facts, so all agree or all refuse.
at::DeviceType device_type_of_run(const Communicator& communicator, const std::string& device, const Texts& hosts) {
  const auto kinds = device_kinds();
  if (!device.empty() && std::ranges::find(kinds, device) == kinds.end())
    throw BadInput("run.device is \"" + device + "\"; choose one of " + known_kinds());
  if (device == "cpu") return at::kCPU;
  const at::DeviceType type = device_type(device.empty() ? "cuda" : device);
  const Texts counts = communicator.gather_texts(std::to_string(accelerator_count(type)));
  const auto without = std::find(counts.begin(), counts.end(), "0");
  if (without == counts.end()) return type;
  const bool none_has = std::all_of(counts.begin(), counts.end(), [](const std::string& count) { return count == "0"; });
  if (none_has && device.empty()) {
    warn_of_unusable_gpus(communicator, hosts);
    return at::kCPU;
  }
  throw BadInput(place(static_cast<int>(without - counts.begin()), hosts) +
                 " sees no CUDA GPU; set run.device = \"cpu\", or run where every rank has a GPU and its driver");
}

/// Why the sums of this run cannot go through NCCL, in words, the same on all ranks; empty if they can.
std::string obstacle_to_nccl(const Texts& devices, const Texts& hosts) {
  for (auto own = devices.begin(); own != devices.end(); ++own) {
    const auto first = std::find(devices.begin(), own, *own);
    const auto rank = static_cast<int>(own - devices.begin());
    if (first != own) return place(rank, hosts) + " and rank " + std::to_string(first - devices.begin()) + " share one device";
  }
  return nccl_in_build() ? "" : "this build has no NCCL";
}

/// The device of this rank, for LibTorch and for the communicator.
void take_device(Placement& placement, const Communicator& communicator, at::DeviceType type, const Texts& hosts) {
  const int index = placement.local_rank % accelerator_count(type);
  placement.device = at::Device(type, static_cast<at::DeviceIndex>(index));
  c10::impl::VirtualGuardImpl(type).setDevice(placement.device);
  if (communicator.size() == 1) return;
  const Texts devices = communicator.gather_texts(accelerator_id(placement.device));
  placement.ranks_on_device = std::ranges::count(devices, devices[communicator.rank()]);
  const std::string obstacle = obstacle_to_nccl(devices, hosts);
  if (obstacle.empty()) return communicator.use_device(placement.device);
  if (communicator.rank() == 0)
    log::warn(obstacle + ", so sums over ranks go through host memory; one rank per GPU, with NCCL, is faster");
}

/// What the job asks for or else, since images depend on the number, the least that any rank is bound to.
void set_threads(Placement& placement, const Communicator& communicator, int64_t asked, const ThreadBound& own) {
  const int64_t least = -communicator.max(-own.threads);
  placement.threads = asked > 0 ? asked : least;
  if (asked <= 0) placement.threads_bound_by = own.threads == least ? own.by : "the least of all ranks";
}

/// The same bits on every run with the same number of threads.
void make_deterministic(int64_t threads) {
  at::set_num_threads(static_cast<int>(threads));
  if (at::get_num_interop_threads() != 1) at::set_num_interop_threads(1);  // may be set once only
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);  // it would fill every at::empty with NaN: a pass over all memory
  context.setDeterministicCuDNN(true);
  context.setAllowTF32CuDNN(false);  // on by default for convolutions, where "fp32" would mean 10 bits of mantissa
  context.setBenchmarkCuDNN(false);  // the fastest algorithm of the moment differs between runs
}

/// What neighbouring ranks on one line have in common.
std::string common_text(const Placement& placement) {
  const std::string kind = placement.device.is_cpu() ? std::string("cpu") : accelerator_name(placement.device);
  const std::string& bound = placement.threads_bound_by;
  return placement.host + ": " + kind + ", " + std::to_string(placement.threads) +
         (placement.threads == 1 ? " thread each" : " threads each") + (bound.empty() ? "" : " (" + bound + ")");
}

std::string span(const std::vector<int>& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + number_ranges(ranks);
}

}  // namespace

Placement bind_rank(const Communicator& communicator, const std::string& device, int64_t threads) {
  // cuBLAS reads it when it starts; with it, its results do not depend on what runs beside.
  if (setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0) != 0) {
    throw Fault(std::string("setenv failed: ") + std::strerror(errno));
  }
  const std::vector<int> cpus = affinity_mask();
  Placement placement;
  placement.host = host_name();
  placement.cores = number_ranges(cpus);
  const Texts hosts = communicator.gather_texts(placement.host);
  const Texts cores = communicator.gather_texts(placement.host + " " + placement.cores);
  const auto own = hosts.begin() + communicator.rank();
  placement.local_rank = static_cast<int>(std::count(hosts.begin(), own, placement.host));
  placement.local_size = static_cast<int>(std::count(hosts.begin(), hosts.end(), placement.host));

  const char* const omp_num_threads = std::getenv("OMP_NUM_THREADS");
  const ThreadBound own_bound =
      bound_threads({.cores = static_cast<int64_t>(cpus.size()),
                     .ranks_on_cores = std::count(cores.begin(), cores.end(), cores[communicator.rank()]),
                     .ranks_on_host = placement.local_size,
                     .omp_num_threads = omp_num_threads == nullptr ? "" : omp_num_threads,
                     .quota = cpu_quota()});
  set_threads(placement, communicator, threads, own_bound);
  make_deterministic(placement.threads);
  const at::DeviceType type = device_type_of_run(communicator, device, hosts);
  if (type != at::kCPU) take_device(placement, communicator, type, hosts);
  return placement;
}

std::string number_ranges(const std::vector<int>& numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!text.empty()) text.append(",");
    text.append(std::to_string(numbers[i]));
    if (last > i) text.append("-").append(std::to_string(numbers[last]));
    i = last + 1;
  }
  return text;
}

std::vector<std::string> rank_table(const Communicator& communicator, const Placement& placement) {
  const auto common = communicator.gather_texts(common_text(placement));
  const std::string place = placement.device.is_cpu() ? "cores " + placement.cores : placement.device.str();
  const auto places = communicator.gather_texts(place);
  std::vector<std::string> lines;
  for (size_t first = 0; first < common.size();) {
    std::vector<int> ranks;
    std::string own_places;
    size_t next = first;
    for (; next < common.size() && common[next] == common[first]; ++next) {
      ranks.push_back(static_cast<int>(next));
      if (next == first || places[next] != places[next - 1]) own_places += (own_places.empty() ? "" : ", ") + places[next];
    }
    lines.push_back(span(ranks) + " on " + common[first] + "; " + own_places);
    first = next;
  }
  return lines;
}

}  // namespace eidolon
