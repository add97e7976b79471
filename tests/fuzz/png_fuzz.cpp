// A PNG picture. Its signature is given.
#include "tests/fuzz/picture_reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  const std::string bytes = std::string("\x89PNG\r\n\x1a\n").append(fuzz::bytes_of(data, size));
  if (bytes.size() < 24) return -1;
  const std::string_view all = bytes;
  return fuzz::decode_picture(all, fuzz::big_endian(all.substr(16, 4)) * fuzz::big_endian(all.substr(20, 4)));
}
