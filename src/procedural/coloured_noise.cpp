#include <cstddef>

#include "procedural/families.h"
#include "procedural/noise_field.h"

namespace eidolon {

Picture coloured_noise(RandomStream& random, int64_t channels, int64_t size) {
  const NoiseField luminance = draw_noise_field(random, size, random.uniform(0.9, 1.4));
  const double exponent = random.uniform(1.2, 1.6);
  const auto chroma = static_cast<float>(random.uniform(0.17, 0.5));
  Picture picture(channels, size);
  for (int64_t c = 0; c < channels; ++c) {
    const NoiseField own = draw_noise_field(random, size, exponent);
    float* out = picture.channel(c);
    for (size_t i = 0; i < own.values.size(); ++i) out[i] = luminance.values[i] + chroma * own.values[i];
  }
  return picture;
}

}  // namespace eidolon
