#include "evaluation/png_decoder.h"

#include <png.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

/// One picture being read. Errors arrive by longjmp, so the two functions that call setjmp own nothing with a destructor.
class PngReader {
 public:
  explicit PngReader(std::span<const uint8_t> bytes) : unread_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw Fault("libpng could not be started (out of memory, or another version than it was compiled with)");
    }
    png_set_read_fn(png_, this, hand_over);
    // Nothing but pixels is wanted. libpng allocates what a chunk of text or colours declares before it reads it.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    png_read_info(png_, info_);
    const int colour = png_get_color_type(png_, info_);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
      png_set_palette_to_rgb(png_);
    } else if (colour == PNG_COLOR_TYPE_GRAY) {
      png_set_expand_gray_1_2_4_to_8(png_);  // and 16 bits stay
    } else {
      png_set_strip_16(png_);
    }
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_pixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);  // reads up to the end chunk, so that a cut-off tail is noticed
    return true;
  }

  int64_t height() const { return png_get_image_height(png_, info_); }
  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t channels() const { return png_get_channels(png_, info_); }
  int64_t bytes_per_sample() const { return png_get_bit_depth(png_, info_) / 8; }
  int64_t row_bytes() const { return static_cast<int64_t>(png_get_rowbytes(png_, info_)); }
  std::string reason() const { return reason_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(reader->reason_, sizeof reader->reason_, "%s", message);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}  // libpng's own writes to stderr

  static void hand_over(png_structp png, png_bytep to, size_t count) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > reader->unread_.size()) {
      png_error(png, "Premature end of PNG file");
    }
    std::memcpy(to, reader->unread_.data(), count);
    reader->unread_ = reader->unread_.subspan(count);
  }

  std::span<const uint8_t> unread_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char reason_[256] = "";
};

/// PIL clips 16-bit grey (mode I;16) instead of scaling it. Big-endian samples.
Tensor clipped_to_bytes(const Tensor& wide, int64_t height, int64_t width) {
  Tensor grey = at::empty({height, width, 1}, at::kByte);
  const uint8_t* from = wide.const_data_ptr<uint8_t>();
  uint8_t* to = grey.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < height * width; ++i) {
    to[i] = from[2 * i] != 0 ? 255 : from[2 * i + 1];
  }
  return grey;
}

}  // namespace

Tensor decode_png(std::span<const uint8_t> bytes, PictureSlot& slot) {
  PngReader reader(bytes);
  if (!reader.read_header()) {
    throw BadInput(reader.reason());
  }
  const int64_t height = reader.height();
  const int64_t width = reader.width();
  const int64_t channels = reader.channels();
  slot.admit_pixels(height, width);
  if ((channels != 1 && channels != 3) || reader.row_bytes() != width * channels * reader.bytes_per_sample()) {
    throw BadInput("an unexpected arrangement of samples");
  }
  Tensor pixels = at::empty({height, width, channels * reader.bytes_per_sample()}, at::kByte);
  std::vector<png_bytep> rows(height);
  for (int64_t y = 0; y < height; ++y) {
    rows[y] = pixels.mutable_data_ptr<uint8_t>() + y * reader.row_bytes();
  }
  if (!reader.read_pixels(rows.data())) {
    throw BadInput(reader.reason());
  }
  return reader.bytes_per_sample() == 2 ? clipped_to_bytes(pixels, height, width) : pixels;
}

}  // namespace eidolon
