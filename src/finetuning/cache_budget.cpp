#include "finetuning/cache_budget.h"

#include <algorithm>
#include <optional>

#include "cluster/launch/accelerators.h"

namespace eidolon {
namespace {

int64_t part_of(int64_t bytes, double share) {
  return static_cast<int64_t>(static_cast<double>(bytes) * share);
}

}  // namespace

CacheBudget CacheBudget::share(double of) const {
  return {.in_all = part_of(in_all, of), .on_device = part_of(on_device, of)};
}

int64_t whole_megabytes(int64_t bytes) {
  constexpr int64_t megabyte = 1 << 20;
  return (bytes + megabyte - 1) / megabyte;
}

CacheBudget cache_budget(at::Device device, int64_t bytes) {
  const std::optional<int64_t> free = free_device_bytes(device);
  return {.in_all = bytes, .on_device = free ? std::min(bytes, *free / 2) : bytes};
}

}  // namespace eidolon
