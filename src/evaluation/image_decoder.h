// JPEG and PNG to RGB bytes (libjpeg-turbo, libpng).
#pragma once

#include <filesystem>

#include "base/tensor.h"

namespace eidolon {

/// uint8 H x W x channels (1 or 3). Greyscale is widened and alpha dropped the way PIL's convert("RGB") does; CMYK/YCCK JPEGs
/// and 16-bit PNGs are converted. By content, not by extension. Throws BadInput naming the file and the decoder's reason; never
/// crashes or exits on damaged bytes (setjmp / error callbacks). A decoded size above 512 megapixels is refused.
Tensor decode_image(const std::filesystem::path& path, int64_t channels = 3);

}  // namespace eidolon
