// Sealed HDF5 files that lie. A seal proves nothing of who wrote a file, so the forger seals whatever he made.
#pragma once

#include <string>
#include <string_view>

#include "storage/tensor_archive.h"
#include "tests/fuzz/choices.h"

namespace eidolon::fuzz {

/// The bytes behind a seal of their own.
std::string sealed(std::string_view hdf5);

/// `sound`, of which each dataset and attribute is as it should be or, by choice, missing, of another type, shape or storage, a
/// link, or no dataset; and objects that nobody expects. Empty where HDF5 itself refuses to write that.
std::string forged_archive(const TensorArchive& sound, Choices& choices);

}  // namespace eidolon::fuzz
