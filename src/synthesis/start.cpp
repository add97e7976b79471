#include "synthesis/start.h"

#include <ATen/Parallel.h>

#include <string>
#include <vector>

#include "job/mixture.h"
#include "numerics/random.h"
#include "procedural/procedural_image.h"

namespace eidolon {
namespace {

/// Normalised, 1 x C x S x S.
Tensor start_image(const std::string& kind, const SynthesisJob& job, int64_t index, const Preprocessing& preprocessing) {
  const int64_t channels = preprocessing.channels(), size = preprocessing.image_size;
  if (kind == "gaussian") return RandomStream(job.seed, Purpose::start_noise, index).normals({1, channels, size, size});
  RandomStream random(job.seed, Purpose::procedural_start, index);
  const Tensor image = procedural_image(kind, random, channels, size).unsqueeze(0);
  return (image - preprocessing.mean_tensor()) / preprocessing.std_tensor();
}

}  // namespace

PixelRange valid_pixels(const Preprocessing& preprocessing, at::TensorOptions options) {
  const Tensor mean = preprocessing.mean_tensor(options), std = preprocessing.std_tensor(options);
  return {-mean / std, (1.0 - mean) / std};
}

Tensor start_pixels(const SynthesisJob& job, const Preprocessing& preprocessing, const Unit& unit) {
  const std::vector<std::string> kinds = mixture_cycle(job.start);
  std::vector<Tensor> images(static_cast<size_t>(unit.images));
  // A picture made by rule takes 20 ms of one core: beside a GPU, the larger part of a unit's time.
  at::parallel_for(0, unit.images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t index = unit.first + i;
      const std::string& kind = kinds[static_cast<size_t>(index) % kinds.size()];
      images[static_cast<size_t>(i)] = start_image(kind, job, index, preprocessing);
    }
  });
  const PixelRange valid = valid_pixels(preprocessing);
  return at::cat(images).clamp(valid.lowest, valid.highest);
}

}  // namespace eidolon
