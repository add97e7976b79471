// What a rank may keep of what sections are given and shall give (finetuning/prefix.h).
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// In bytes. Where the device's memory is the host's, both lie in the same.
struct CacheBudget {
  int64_t in_all = 0;
  int64_t on_device = 0;  ///< of that; what this does not hold lies on the host

  /// Of `all` parts that are alike, `some`.
  CacheBudget share(int64_t some, int64_t all) const;
};

/// Rounded up, so that a budget of so many holds them.
int64_t whole_megabytes(int64_t bytes);

/// `bytes` in all, of which the device takes what leaves half of its free memory to the steps. `ranks` share the device.
CacheBudget cache_budget(at::Device device, int64_t ranks, int64_t bytes);

}  // namespace eidolon
