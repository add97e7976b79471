#include "synthesis/enlargement.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "numerics/random.h"

namespace eidolon {
namespace {

constexpr int64_t smallest_side = 4;  ///< of a picture before it is enlarged

/// The random stream of the image's start has iteration 0; its factor is not to depend on what the start draws.
constexpr int64_t factor_draw = 1;

}  // namespace

Tensor as_enlarged(const SynthesisJob& job, const Unit& unit, const Tensor& pixels) {
  if (job.enlargement == 1) return pixels;
  const at::NoGradGuard no_grad;
  const int64_t size = pixels.size(-1);
  std::vector<Tensor> images;
  for (int64_t i = 0; i < unit.images; ++i) {
    RandomStream random(job.seed, Purpose::procedural_start, unit.first + i, factor_draw);
    const double factor = std::exp(random.uniform(0, std::log(job.enlargement)));
    const auto side = std::max<int64_t>(std::llround(static_cast<double>(size) / factor), smallest_side);
    const Tensor small = at::adaptive_avg_pool2d(pixels.narrow(0, i, 1), {side, side});
    images.push_back(at::upsample_bicubic2d(small, {size, size}, /*align_corners=*/false));
  }
  return at::cat(images);
}

}  // namespace eidolon
