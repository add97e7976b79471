#include "evaluation/image_decoder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "evaluation/jpeg_decoder.h"
#include "evaluation/picture_size.h"
#include "evaluation/png_decoder.h"

namespace eidolon {
namespace {

std::vector<uint8_t> read_file(const std::filesystem::path& path, PictureSlot& slot) {
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem)) {
    throw BadInput("no such file");
  }
  const uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem) {
    throw BadInput("cannot be read: " + problem.message());
  }
  slot.admit_file(size);
  std::vector<uint8_t> bytes(size);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    throw BadInput("cannot be read: " + std::string(std::strerror(errno)));
  }
  return bytes;
}

template <size_t N>
bool starts_with(std::span<const uint8_t> bytes, const std::array<uint8_t, N>& signature) {
  return bytes.size() >= N && std::equal(signature.begin(), signature.end(), bytes.begin());
}

Tensor decode_bytes(std::span<const uint8_t> bytes, PictureSlot& slot) {
  constexpr std::array<uint8_t, 3> jpeg = {0xFF, 0xD8, 0xFF};
  constexpr std::array<uint8_t, 8> png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  if (starts_with(bytes, jpeg)) {
    return decode_jpeg(bytes, slot);
  }
  if (starts_with(bytes, png)) {
    return decode_png(bytes, slot);
  }
  throw BadInput("neither JPEG nor PNG");
}

/// ITU-R 601-2 luma with PIL's weights in 1/65536, rounded.
Tensor luma_of(const Tensor& rgb) {
  Tensor grey = at::empty({rgb.size(0), rgb.size(1), 1}, at::kByte);
  const uint8_t* from = rgb.const_data_ptr<uint8_t>();
  uint8_t* to = grey.mutable_data_ptr<uint8_t>();
  const int64_t pixels = grey.numel();
  for (int64_t i = 0; i < pixels; ++i) {
    const uint32_t sum = 19595U * from[3 * i] + 38470U * from[3 * i + 1] + 7471U * from[3 * i + 2];
    to[i] = static_cast<uint8_t>((sum + 32768U) >> 16);
  }
  return grey;
}

Tensor decode(const std::filesystem::path& path, int64_t channels, PictureSlot& slot) {
  if (channels != 1 && channels != 3) {
    throw BadInput("images are evaluated with 1 or 3 channels; the model asks for " + std::to_string(channels));
  }
  try {
    const Tensor image = decode_bytes(read_file(path, slot), slot);
    if (image.size(2) == channels) {
      return image;
    }
    return channels == 1 ? luma_of(image) : image.expand({-1, -1, 3}).contiguous();
  } catch (const BadInput& reason) {
    throw BadInput("image " + path.string() + ": " + reason.what() + "; replace or remove the file");
  }
}

}  // namespace

Tensor decode_image(const std::filesystem::path& path, int64_t channels) {
  PictureSlot slot;
  return decode(path, channels, slot);
}

Tensor with_decoded_image(const std::filesystem::path& path, int64_t channels,
                          const std::function<Tensor(const Tensor&)>& use) {
  PictureSlot slot;
  return use(decode(path, channels, slot));
}

}  // namespace eidolon
