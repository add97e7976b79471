// Decodes a picture of up to a megapixel. Larger ones take as long as they may, unless they declare more than is admitted.
#pragma once

#include <algorithm>
#include <cstdint>

#include "evaluation/image_decoder.h"
#include "evaluation/picture_size.h"
#include "tests/fuzz/reading.h"

namespace eidolon::fuzz {

inline int decode_picture(std::string_view bytes, uint64_t declared_pixels) {
  constexpr uint64_t most = uint64_t{1} << 20, bytes_per_pixel = 15;  // picture_size.h
  const bool is_refused = declared_pixels > static_cast<uint64_t>(kLargestPicture);
  if (declared_pixels > most && !is_refused) return -1;
  const std::filesystem::path file = scratch() / "picture";
  put(file, bytes);
  const uint64_t pixels = is_refused ? 0 : declared_pixels;
  for (const int64_t channels : {1, 3}) {
    Tensor picture;
    if (!reads(
            bytes.size(), [&] { picture = decode_image(file, channels); }, bytes_per_pixel * pixels))
      continue;
    if (is_refused || picture.dim() != 3 || picture.size(2) != channels ||
        picture.size(0) * picture.size(1) > kLargestPicture) {
      __builtin_trap();
    }
  }
  return 0;
}

inline uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

}  // namespace eidolon::fuzz
