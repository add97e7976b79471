// JPEG and PNG to RGB or grey bytes (libjpeg-turbo, libpng), equal to what PIL's convert("RGB") or convert("L") gives.
#pragma once

#include <filesystem>

#include "base/tensor.h"

namespace eidolon {

/// The largest picture that is decoded; a damaged header may declare billions of pixels.
constexpr int64_t kLargestDecodedPixels = int64_t{512} << 20;

/// uint8 H x W x channels (1 or 3), on the CPU. As PIL converts: grey is widened, alpha dropped, colour made grey with the
/// ITU-R 601-2 luma, CMYK and YCCK JPEGs taken as inverted (Adobe's way); of 16-bit colour the high byte is kept, while
/// 16-bit grey is clipped at 255. EXIF orientation is not applied. The format is told by content, not by extension.
/// Throws BadInput naming the file and the decoder's reason, for incomplete and damaged pictures too: half a picture is never
/// returned. Never crashes or exits on damaged bytes.
Tensor decode_image(const std::filesystem::path& path, int64_t channels = 3);

}  // namespace eidolon
