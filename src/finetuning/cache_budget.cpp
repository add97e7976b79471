#include "finetuning/cache_budget.h"

#include <algorithm>
#include <optional>

#include "cluster/launch/accelerators.h"

namespace eidolon {
namespace {

int64_t part_of(int64_t bytes, int64_t some, int64_t all) {
  return bytes / all * some + bytes % all * some / all;  // exact: what holds all parts holds each
}

}  // namespace

CacheBudget CacheBudget::share(int64_t some, int64_t all) const {
  return {.in_all = part_of(in_all, some, all), .on_device = part_of(on_device, some, all)};
}

int64_t whole_megabytes(int64_t bytes) {
  constexpr int64_t megabyte = 1 << 20;
  return (bytes + megabyte - 1) / megabyte;
}

CacheBudget cache_budget(at::Device device, int64_t ranks, int64_t bytes) {
  const std::optional<int64_t> free = free_device_bytes(device);
  return {.in_all = bytes, .on_device = free ? std::min(bytes, *free / ranks / 2) : bytes};
}

}  // namespace eidolon
