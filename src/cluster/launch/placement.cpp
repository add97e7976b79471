#include "cluster/launch/placement.h"

#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "cluster/launch/cuda_devices.h"
#include "cluster/launch/thread_bound.h"
#include "storage/posix_file.h"

namespace eidolon {
namespace {

using Texts = std::vector<std::string>;

std::string place(int rank, const Texts& hosts) {
  return "rank " + std::to_string(rank) + " on " + hosts[rank];
}

/// True if this run uses GPUs. Every rank decides from the same facts, so all agree or all refuse.
bool use_cuda(const Communicator& communicator, const std::string& device, const Texts& hosts) {
  if (device == "cpu") return false;
  if (device != "cuda" && !device.empty()) throw BadInput("run.device is \"" + device + "\"; choose auto, cpu or cuda");
  const Texts counts = communicator.gather_texts(std::to_string(cuda_device_count()));
  const auto without = std::find(counts.begin(), counts.end(), "0");
  if (without == counts.end()) return true;
  const bool none_has = std::all_of(counts.begin(), counts.end(), [](const std::string& count) { return count == "0"; });
  if (none_has && device.empty()) return false;
  throw BadInput(place(static_cast<int>(without - counts.begin()), hosts) +
                 " sees no CUDA GPU; set run.device = \"cpu\", or run where every rank has a GPU and its driver");
}

at::Device own_gpu(const Communicator& communicator, int local_rank, const Texts& hosts) {
  const int index = local_rank % cuda_device_count();
  const Texts ids = communicator.gather_texts(cuda_device_id(index));
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const auto first = std::find(ids.begin(), ids.begin() + rank, ids[rank]);
    if (first == ids.begin() + rank) continue;
    throw BadInput(place(rank, hosts) + " and rank " + std::to_string(first - ids.begin()) +
                   " would share one GPU; start at most one rank per GPU of a host, or set run.device = \"cpu\"");
  }
  const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(index));
  c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(device);
  return device;
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
  const std::string kind = placement.device.is_cuda() ? cuda_device_name(placement.device.index()) : std::string("cpu");
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
  if (use_cuda(communicator, device, hosts)) placement.device = own_gpu(communicator, placement.local_rank, hosts);
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
  const std::string place = placement.device.is_cuda() ? placement.device.str() : "cores " + placement.cores;
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
