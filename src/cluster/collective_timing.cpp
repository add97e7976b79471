#include "cluster/collective_timing.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "base/error.h"

namespace eidolon {
namespace {

constexpr int repetitions = 9;

void require_right(const Communicator& communicator, const Tensor& sum) {
  const double ranks = communicator.size(), expected = ranks * (ranks + 1) / 2;
  if (at::all(sum == expected).item<bool>()) return;
  throw Fault("an all-reduce over " + std::to_string(communicator.size()) + " ranks on " + sum.device().str() +
              " gave a wrong sum; the MPI or NCCL installation is broken");
}

/// Seconds of one sum, as the slowest rank sees them. The barrier waits for the device too.
double time_once(const Communicator& communicator, Tensor& tensor) {
  tensor.fill_(communicator.rank() + 1);
  communicator.barrier();
  const auto start = std::chrono::steady_clock::now();
  communicator.all_reduce_sum(tensor);
  if (!tensor.is_cpu()) tensor[0].item<float>();  // the sum may still be on its way
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  const int64_t slowest = communicator.max(std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count());
  return static_cast<double>(slowest) * 1e-9;
}

}  // namespace

std::vector<CollectiveTiming> time_all_reduce(const Communicator& communicator, at::Device device) {
  std::vector<CollectiveTiming> timings;
  for (int64_t numbers = 1; numbers <= int64_t{16} << 20; numbers *= 16) {
    Tensor tensor = at::empty({numbers}, at::TensorOptions().device(device).dtype(at::kFloat));
    std::vector<double> seconds;
    for (int i = 0; i < repetitions; ++i) seconds.push_back(time_once(communicator, tensor));
    require_right(communicator, tensor);
    std::ranges::nth_element(seconds, seconds.begin() + repetitions / 2);
    timings.push_back({tensor.numel() * 4, seconds[repetitions / 2]});
  }
  return timings;
}

}  // namespace eidolon
