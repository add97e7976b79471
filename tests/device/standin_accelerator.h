// An accelerator for tests on machines without one: LibTorch's PrivateUse1 backend, named "standin".
//
// Its memory is host memory, but its tensors are not CPU tensors: LibTorch refuses an operation that mixes both, as it
// does on CUDA, and every operation runs through the CPU's kernels, so results are the CPU's bit for bit. A program that
// links standin_accelerator accepts run.device = "standin" where EIDOLON_TEST_DEVICE=standin; no other does. There is one
// device, or as many as EIDOLON_STANDIN_DEVICES says, so that ranks may own one each.
//
// Memory that is released is filled with 0xff, which is NaN, and kept for a while before the host gets it back. Who still
// reads it computes NaN, and who still writes to it is found. Memory is released when the stream gets there, as on CUDA.
// A copy of pinned memory that nobody waits for is made as late as may be, so that a missing wait shows.
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

/// The blocks that were written to after their release, as far as is known yet.
int64_t writes_to_released_memory();

}  // namespace eidolon::standin
