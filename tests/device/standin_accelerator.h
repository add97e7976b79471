// An accelerator for tests on machines without one: LibTorch's PrivateUse1 backend, named "standin".
//
// Its memory is host memory, but its tensors are not CPU tensors: LibTorch refuses an operation that mixes both, as it
// does on CUDA, and every operation runs through the CPU's kernels, so results are the CPU's bit for bit. A program that
// links standin_accelerator accepts run.device = "standin" where EIDOLON_TEST_DEVICE=standin; no other does.
#pragma once

#include <cstdint>

namespace eidolon::standin {

/// What a real device would wait for or pay for, since the program began.
struct Counts {
  int64_t scalars_read = 0;    ///< item() and its kin: the host waits for the device
  int64_t copies_to_host = 0;  ///< the host waits for the device
  int64_t copies_to_device = 0;
  int64_t allocations = 0;
  int64_t operations = 0;  ///< on CUDA each is a kernel launch or more
};

Counts counts();

}  // namespace eidolon::standin
