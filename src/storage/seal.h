// The seal: the 512-byte user block of an HDF5 file. It holds a readable title and checksums.
//
//   eidolon image shard
//   sha256 <64 digits>    of all bytes after the block: tail -c +513 FILE | sha256sum
//   seal <64 digits>      SHA-256 of the two lines above, so that the block itself is covered too
//   zeros up to byte 512
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace eidolon {

inline constexpr std::size_t seal_size = 512;

/// `digest` is the SHA-256 of all bytes after the block. Throws Fault for a title that is not one line of at most 200
/// bytes.
std::string make_seal(std::string_view title, std::string_view digest);

/// The digest stated by a block; none if any byte of the block is not as make_seal() writes it.
std::optional<std::string> sealed_digest(std::string_view block);

}  // namespace eidolon
