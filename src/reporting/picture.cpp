#include "reporting/picture.h"

#include <openssl/evp.h>
#include <png.h>

#include <cstring>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

std::vector<unsigned char> png_of(const Tensor& rows, int64_t channels) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(rows.size(0));
  image.width = static_cast<png_uint_32>(rows.size(1));
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<unsigned char> file(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = file.size();
  if (png_image_write_to_memory(&image, file.data(), &size, 0, rows.const_data_ptr<uint8_t>(), 0, nullptr) == 0) {
    throw Fault("libpng does not write a picture of " + std::to_string(image.width) + " x " + std::to_string(image.height) +
                ": " + image.message);
  }
  file.resize(size);
  return file;
}

std::string base64(const std::vector<unsigned char>& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // EVP_EncodeBlock ends with a zero
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

}  // namespace

std::string png_data_uri(const Tensor& bytes) {
  const int64_t channels = bytes.size(0) >= 3 ? 3 : 1;
  const Tensor rows = bytes.narrow(0, 0, channels).permute({1, 2, 0}).contiguous();
  return "data:image/png;base64," + base64(png_of(rows, channels));
}

}  // namespace eidolon
