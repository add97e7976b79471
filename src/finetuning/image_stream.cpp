#include "finetuning/image_stream.h"

#include "numerics/random.h"
#include "procedural/procedural_image.h"

namespace eidolon {
namespace {

constexpr int64_t shift_share = 8;

/// Shifted around by up to an eighth of the side and mirrored in half of the cases, as in GenQ's and SMI's augmentation.
Tensor shifted_and_mirrored(const Tensor& image, RandomStream& random) {
  const int64_t reach = image.size(-1) / shift_share;
  const int64_t down = random.below(2 * reach + 1) - reach, right = random.below(2 * reach + 1) - reach;
  const Tensor shifted = at::roll(image, {down, right}, {-2, -1});
  return random.below(2) == 0 ? shifted.flip(-1) : shifted;
}

}  // namespace

Tensor images_of_step(const ImageStream& stream, const std::vector<int64_t>& images, int64_t step) {
  const Preprocessing& preprocessing = stream.preprocessing;
  const Tensor mean = preprocessing.mean_tensor(), std = preprocessing.std_tensor();
  const Tensor rows = stream.stored.rows(images);
  std::vector<Tensor> batch(images.size());
  std::vector<int64_t> generated;
  std::vector<size_t> places;  // of the generated ones in the batch
  for (size_t i = 0; i < images.size(); ++i) {
    RandomStream random(stream.seed, Purpose::image_stream, images[i], step);
    const std::string& kind = stream.kinds[static_cast<size_t>(random.below(static_cast<int64_t>(stream.kinds.size())))];
    if (kind == "stored") {
      const Tensor bytes = stream.stored.bytes[rows[static_cast<int64_t>(i)].item<int64_t>()].unsqueeze(0);
      batch[i] = shifted_and_mirrored(normalise(preprocessing, bytes), random);
    } else if (kind == "generator") {
      generated.push_back(images[i]);
      places.push_back(i);
    } else {
      const Tensor image = procedural_image(kind, random, preprocessing.channels(), preprocessing.image_size);
      batch[i] = (image.unsqueeze(0) - mean) / std;
    }
  }
  if (!generated.empty() && generated.size() == images.size()) return stream.generated(generated, step);
  if (!generated.empty()) {  // at once, since a generator is fastest with many
    const Tensor made = stream.generated(generated, step).cpu();
    for (size_t i = 0; i < places.size(); ++i) batch[places[i]] = made.narrow(0, static_cast<int64_t>(i), 1);
  }
  return at::cat(batch);
}

}  // namespace eidolon
