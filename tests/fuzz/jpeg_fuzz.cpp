// A JPEG picture. Its signature is given.
#include "tests/fuzz/picture_reading.h"

namespace {

/// The largest size that any start of a frame states, also one that the decoder never reaches.
uint64_t declared_pixels(std::string_view bytes) {
  uint64_t most = 0;
  for (size_t i = 0; i + 9 <= bytes.size(); ++i) {
    const auto marker = static_cast<uint8_t>(bytes[i + 1]);
    if (bytes[i] != '\xff' || marker < 0xc0 || marker > 0xcf) continue;
    most =
        std::max(most, eidolon::fuzz::big_endian(bytes.substr(i + 5, 2)) * eidolon::fuzz::big_endian(bytes.substr(i + 7, 2)));
  }
  return most;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  const std::string bytes = std::string("\xff\xd8\xff").append(fuzz::bytes_of(data, size));
  const uint64_t pixels = declared_pixels(bytes);
  // Which of several frames counts, only the decoder knows.
  return pixels > static_cast<uint64_t>(kLargestPicture) ? -1 : fuzz::decode_picture(bytes, pixels);
}
