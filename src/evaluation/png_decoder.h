// Decodes PNG by libpng.
#pragma once

#include <cstdint>
#include <span>

#include "base/tensor.h"
#include "evaluation/picture_size.h"

namespace eidolon {

/// uint8 H x W x 1 (grey) or 3 (RGB, palettes looked up), alpha dropped. Gamma and colour profiles are ignored, as in
/// PIL. `slot` is asked before memory for pixels is allocated. Throws BadInput with the reason, without a file name.
Tensor decode_png(std::span<const uint8_t> bytes, PictureSlot& slot);

}  // namespace eidolon
