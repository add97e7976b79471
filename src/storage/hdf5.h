// Checked HDF5 handles: one function per C call we need; every failure becomes a Fault with HDF5's first cause, the file and
// the object's name. Serial HDF5, one file per call chain, one thread.
#pragma once

#include <hdf5.h>

namespace eidolon {
// Filled in by the storage library: RAII Handle (move only, noexcept close), open/create, read/write of tensors and
// attributes.
}  // namespace eidolon
