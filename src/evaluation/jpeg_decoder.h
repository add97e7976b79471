// Decodes JPEG by libjpeg-turbo.
#pragma once

#include <cstdint>
#include <span>

#include "base/tensor.h"
#include "evaluation/picture_size.h"

namespace eidolon {

/// uint8 H x W x 1 (grey) or 3 (RGB; CMYK and YCCK converted). libjpeg's defaults (accurate integer inverse DCT, smooth
/// chroma upsampling) are kept because PIL keeps them. `slot` is asked before
/// memory for pixels is allocated. Throws BadInput with the reason, without a file name.
Tensor decode_jpeg(std::span<const uint8_t> bytes, PictureSlot& slot);

}  // namespace eidolon
