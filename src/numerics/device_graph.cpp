#include "numerics/device_graph.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/StreamGuard.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>
#include <map>
#include <memory>

namespace eidolon {
namespace {

/// One for each device, since cuBLAS keeps a workspace for every stream that it has seen. The default stream records nothing.
c10::cuda::CUDAStream recording_stream(at::DeviceIndex device) {
  static std::map<at::DeviceIndex, c10::cuda::CUDAStream> streams;
  const auto found = streams.find(device);
  if (found != streams.end()) return found->second;
  return streams.emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)).first->second;
}

/// Whether nothing was thrown.
template <class Action>
bool succeeds(Action action) {
  try {
    action();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

/// Ends a recording that failed. CUDAGraph leaves the allocators in the graph's pool where CUDA refuses to end it
/// (aten/src/ATen/cuda/CUDAGraph.cpp, capture_end), and they would ask the graph about every allocation to come. What it has
/// ended throws here, which is no error.
void abandon(at::cuda::CUDAGraph& graph, at::DeviceIndex device, const c10::MempoolId_t& pool) {
  succeeds([&] { graph.capture_end(); });
  succeeds([&] {
    c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool);
    c10::cuda::CUDACachingAllocator::releasePool(device, pool);
  });
  succeeds([&] {
    at::HostAllocator& host = *at::getHostAllocator(at::kCUDA);
    host.end_allocate_to_pool(pool);
    host.release_pool(pool);
  });
}

/// In the order of torch/cuda/graphs.py: everything at rest, first uses on the stream that records, caches emptied so that the
/// graph's own pool finds memory, the recording.
Replay record(at::Device device, const std::function<void()>& work) {
  const c10::StreamGuard on_stream(recording_stream(device.index()));  // CUDA's own guard asks for its runtime at link time
  c10::cuda::device_synchronize();
  work();
  c10::cuda::device_synchronize();
  c10::cuda::CUDACachingAllocator::emptyCache();
  const c10::MempoolId_t pool = at::cuda::graph_pool_handle();
  const auto graph = std::make_shared<at::cuda::CUDAGraph>();
  try {
    graph->capture_begin(pool);
    work();
    graph->capture_end();
  } catch (...) {
    abandon(*graph, device.index(), pool);
    throw;
  }
  return [graph] { graph->replay(); };
}

}  // namespace

Recorder graph_recorder(at::Device device) {
  if (!device.is_cuda()) return {};
  return [device](const std::function<void()>& work) { return record(device, work); };
}

}  // namespace eidolon
