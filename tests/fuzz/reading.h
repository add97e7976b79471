// What every fuzz target does: it writes the input into a file of its own, reads the file, and holds the reader to the promises
// that docs/reference/files.md makes of files that lie.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace eidolon::fuzz {

/// A folder of this process, in memory where there is one, removed at its end.
const std::filesystem::path& scratch();

void put(const std::filesystem::path& file, std::string_view bytes);

inline std::string_view bytes_of(const uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Runs `read`, which reads `size` bytes of files. Aborts, so that the fuzzer keeps the input, if it
///  * throws anything but an Error that is one line, says where the file lies and what to do,
///  * takes more than a second of the processor,
///  * holds more memory at once than 2 `size` + 64 MiB + `more` (only under AddressSanitizer).
/// Returns whether it threw nothing.
bool reads(uint64_t size, const std::function<void()>& read, uint64_t more = 0);

}  // namespace eidolon::fuzz
