#include "synthesis/terms/total_variation.h"

#include <cmath>
#include <vector>

#include "numerics/random.h"

namespace eidolon {
namespace {

/// U(2500, 3000) for a batch of 32 in PSAQ-ViT's code, over sqrt(32); photographs have a median of 457.
constexpr double variation_low = 442, variation_high = 530;

Tensor norm_per_image(const Tensor& difference) {
  return at::linalg_vector_norm(difference, 2, at::IntArrayRef{1, 2, 3});
}

}  // namespace

Tensor total_variation_loss(const Tensor& images, const Tensor& targets) {
  const int64_t height = images.size(2), width = images.size(3);
  const Tensor top = images.narrow(2, 0, height - 1), bottom = images.narrow(2, 1, height - 1);
  const Tensor horizontal = images.narrow(3, 1, width - 1) - images.narrow(3, 0, width - 1);
  const Tensor falling = bottom.narrow(3, 1, width - 1) - top.narrow(3, 0, width - 1);
  const Tensor rising = top.narrow(3, 1, width - 1) - bottom.narrow(3, 0, width - 1);
  const Tensor variation =
      norm_per_image(horizontal) + norm_per_image(bottom - top) + norm_per_image(falling) + norm_per_image(rising);
  return (variation - targets).abs();
}

Tensor draw_variation_targets(uint64_t seed, const Preprocessing& preprocessing, const Unit& unit) {
  std::vector<double> targets;
  for (int64_t image = unit.first; image <= unit.last(); ++image) {
    RandomStream random(seed, Purpose::variation_target, image);
    targets.push_back(random.uniform(variation_low, variation_high) * variation_scale(preprocessing));
  }
  return at::tensor(targets, at::kDouble).to(at::kFloat);
}

double variation_scale(const Preprocessing& preprocessing) {
  const double size = static_cast<double>(preprocessing.image_size);
  const double values = static_cast<double>(preprocessing.channels()) * size * size;
  return std::sqrt(values / 150528.0) * 0.226 / preprocessing.mean_std();
}

DrawnTerm draw_variation_term(const TermContext& context) {
  const Tensor targets =
      draw_variation_targets(context.job.seed, context.teacher.preprocessing, context.unit).to(context.teacher.device());
  return {.loss = [targets](const Seen& seen) { return total_variation_loss(seen.pixels, targets); }};
}

}  // namespace eidolon
