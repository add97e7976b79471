// Pictures inside a JSON text or a page: PNG files as data URIs.
#pragma once

#include <string>

#include "base/tensor.h"

namespace eidolon {

/// "data:image/png;base64,...". bytes: uint8 C x H x W on the CPU; one channel is grey, of more than three the first three are
/// taken for red, green and blue, and of two the first. Lossless.
std::string png_data_uri(const Tensor& bytes);

}  // namespace eidolon
