// What of an image stays as it was at the start: how its power is spread over scales, its colour and its contrast. Procedural
// starts have the statistics of photographs, which the pull of the teacher's losses would wear away.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// Logarithms, so that neither normalisation nor contrast changes what a difference means. B images, C channels.
struct ImageStatistics {
  Tensor spectrum;        ///< B x R, log of the mean power of each half octave of radius, all channels together
  Tensor mean;            ///< B x C, of the pixels
  Tensor contrast;        ///< B x C, log variance of the pixels
  Tensor patch_contrast;  ///< B x C, log variance of the means of patches
};

/// images: B x C x S x S. The power is of the cosine transform; its entry of frequency 0 is left to `mean`.
ImageStatistics image_statistics(const Tensor& images, int64_t patch_size);

/// Per image the mean square differences of the four; that of the mean is in units of the kept standard deviation.
Tensor statistics_loss(const ImageStatistics& current, const ImageStatistics& kept);

}  // namespace eidolon
