// JPEG and PNG to RGB or grey bytes (libjpeg-turbo, libpng), equal to what PIL's convert("RGB") or convert("L") gives.
#pragma once

#include <filesystem>
#include <functional>

#include "base/tensor.h"

namespace eidolon {

/// uint8 H x W x channels (1 or 3), on the CPU. As PIL converts: grey is widened, alpha dropped, colour made grey with the
/// ITU-R 601-2 luma, CMYK and YCCK JPEGs taken as inverted (Adobe's way); of 16-bit colour the high byte is kept, while
/// 16-bit grey is clipped at 255. EXIF orientation is not applied. The format is told by content, not by extension.
/// Throws BadInput naming the file and the decoder's reason, for incomplete and damaged pictures too: half a picture is never
/// returned. Never crashes or exits on damaged bytes.
Tensor decode_image(const std::filesystem::path& path, int64_t channels = 3);

/// What `use` makes of the decoded picture. To be called by many threads at once: of large pictures (picture_size.h) one at a
/// time is in memory, until `use` has returned. `use` must not decode another.
Tensor with_decoded_image(const std::filesystem::path& path, int64_t channels, const std::function<Tensor(const Tensor&)>& use);

}  // namespace eidolon
