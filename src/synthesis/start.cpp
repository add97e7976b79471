#include "synthesis/start.h"

#include "numerics/random.h"

namespace eidolon {

PixelRange valid_pixels(const Preprocessing& preprocessing, at::TensorOptions options) {
  const Tensor mean = preprocessing.mean_tensor(options), std = preprocessing.std_tensor(options);
  return {-mean / std, (1.0 - mean) / std};
}

Tensor start_pixels(const SynthesisJob& job, const Preprocessing& preprocessing, const Unit& unit) {
  const int64_t size = preprocessing.image_size;
  std::vector<Tensor> images;
  for (int64_t index = unit.first; index <= unit.last(); ++index) {
    images.push_back(RandomStream(job.seed, Purpose::start_noise, index).normals({preprocessing.channels(), size, size}));
  }
  const PixelRange valid = valid_pixels(preprocessing);
  return at::stack(images).clamp(valid.lowest, valid.highest);
}

}  // namespace eidolon
