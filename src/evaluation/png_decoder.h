// PNG bytes to pixels through libpng.
#pragma once

#include <cstdint>
#include <span>

#include "base/tensor.h"
#include "evaluation/picture_size.h"

namespace eidolon {

/// uint8 H x W x 1 (grey) or 3 (RGB, palettes looked up), alpha dropped. Gamma and colour profiles are ignored, as PIL ignores
/// them. `place` is asked before memory is taken for
/// pixels. BadInput with the reason, without a file name.
Tensor decode_png(std::span<const uint8_t> bytes, PicturePlace& place);

}  // namespace eidolon
