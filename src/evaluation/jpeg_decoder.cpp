#include "evaluation/jpeg_decoder.h"

#include <csetjmp>
#include <cstdio>
#include <string>

// clang-format off
#include <jpeglib.h>  // needs <cstdio> before it
#include <jerror.h>
// clang-format on

#include "base/error.h"

namespace eidolon {
namespace {

struct ErrorHandler {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  std::jmp_buf escape;
  char reason[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* handler = reinterpret_cast<ErrorHandler*>(info->err);
  info->err->format_message(info, handler->reason);
  std::longjmp(handler->escape, 1);
}

/// libjpeg only warns of missing data and fills the rest of the picture with grey. Such a picture must not be evaluated; other
/// warnings (bytes between segments, an unknown JFIF version) leave the pixels as they were meant.
void refuse_lost_pixels(j_common_ptr info, int level) {
  if (level >= 0) {
    return;  // a trace message
  }
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      leave(info);
    default:
      ++info->err->num_warnings;
  }
}

/// Each scan of a progressive JPEG goes over the whole picture, and a scan of a few bytes may say nothing: a small file could
/// keep a thread at work for days.
void refuse_endless_scans(j_common_ptr info) {
  constexpr int most = 500;  // encoders make 10
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= most) {
    return;
  }
  auto* handler = reinterpret_cast<ErrorHandler*>(info->err);
  std::snprintf(handler->reason, sizeof handler->reason, "more than %d scans", most);
  std::longjmp(handler->escape, 1);
}

/// One picture being read. Errors arrive by longjmp, so the two functions that call setjmp own nothing with a destructor.
class JpegReader {
 public:
  explicit JpegReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = leave;
    errors_.base.emit_message = refuse_lost_pixels;
    errors_.base.output_message = [](j_common_ptr) {};  // libjpeg's own writes to stderr
    progress_.progress_monitor = refuse_endless_scans;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool read_header() {
    if (setjmp(errors_.escape) != 0) {
      return false;
    }
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
    jpeg_mem_src(&info_, bytes_.data(), bytes_.size());
    jpeg_read_header(&info_, TRUE);
    info_.out_color_space = info_.num_components == 1 ? JCS_GRAYSCALE : info_.num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_calc_output_dimensions(&info_);
    return true;
  }

  bool read_pixels(uint8_t* pixels) {
    if (setjmp(errors_.escape) != 0) {
      return false;
    }
    jpeg_start_decompress(&info_);
    const int64_t row_bytes = width() * channels();
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + info_.output_scanline * row_bytes;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);  // reads up to the end marker, so that a cut-off tail is noticed
    return true;
  }

  int64_t height() const { return info_.output_height; }
  int64_t width() const { return info_.output_width; }
  int64_t channels() const { return info_.out_color_components; }
  std::string reason() const { return errors_.reason; }

 private:
  std::span<const uint8_t> bytes_;
  jpeg_decompress_struct info_{};
  ErrorHandler errors_{};
  jpeg_progress_mgr progress_{};
};

/// a * b / 255, rounded, in integers.
uint8_t scaled(uint32_t a, uint32_t b) {
  const uint32_t product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

/// Four-colour JPEGs hold inverted ink (Adobe's convention, which PIL assumes for all of them): a stored 255 is no ink. So a
/// colour is what its own ink leaves of what black leaves.
Tensor rgb_of_inverted_cmyk(const Tensor& cmyk) {
  Tensor rgb = at::empty({cmyk.size(0), cmyk.size(1), 3}, at::kByte);
  const uint8_t* from = cmyk.const_data_ptr<uint8_t>();
  uint8_t* to = rgb.mutable_data_ptr<uint8_t>();
  for (int64_t end = cmyk.size(0) * cmyk.size(1); end > 0; --end, from += 4, to += 3) {
    const uint32_t light = from[3];
    for (int c = 0; c < 3; ++c) {
      to[c] = static_cast<uint8_t>(light - scaled(255U - from[c], light));
    }
  }
  return rgb;
}

}  // namespace

Tensor decode_jpeg(std::span<const uint8_t> bytes, PictureSlot& slot) {
  JpegReader reader(bytes);
  if (!reader.read_header()) {
    throw BadInput(reader.reason());
  }
  slot.admit_pixels(reader.height(), reader.width());
  Tensor pixels = at::empty({reader.height(), reader.width(), reader.channels()}, at::kByte);
  if (!reader.read_pixels(pixels.mutable_data_ptr<uint8_t>())) {
    throw BadInput(reader.reason());
  }
  return reader.channels() == 4 ? rgb_of_inverted_cmyk(pixels) : pixels;
}

}  // namespace eidolon
