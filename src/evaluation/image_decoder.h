// Decodes JPEG and PNG files (libjpeg-turbo, libpng). The bytes equal those of PIL's convert("RGB") or convert("L").
#pragma once

#include <filesystem>
#include <functional>

#include "base/tensor.h"

namespace eidolon {

/// uint8 H x W x channels (1 or 3), on the CPU. The format is recognised by content, not by extension.
///
/// Conversions follow PIL. Grey is replicated to RGB, alpha is dropped, and colour becomes grey by the ITU-R 601-2
/// luma. CMYK and YCCK JPEGs are taken as inverted, as Adobe writes them. 16-bit colour keeps its high byte; 16-bit
/// grey is clipped at 255. EXIF orientation is not applied.
///
/// Throws BadInput with the file and the decoder's reason, for incomplete and damaged pictures too.
Tensor decode_image(const std::filesystem::path& path, int64_t channels = 3);

/// Returns use(picture) of the decoded picture. Thread-safe: only one large picture (picture_size.h) is in memory at a
/// time, until `use` has returned. `use` must not decode another picture.
Tensor with_decoded_image(const std::filesystem::path& path, int64_t channels, const std::function<Tensor(const Tensor&)>& use);

}  // namespace eidolon
