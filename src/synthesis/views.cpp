#include "synthesis/views.h"

#include <cmath>
#include <vector>

#include "numerics/random.h"
#include "numerics/transfer.h"

namespace eidolon {
namespace {

/// B x S positions in the image, in pixels, that the S pixels of a window from `first` on show.
Tensor positions_in_window(const Tensor& first, const Tensor& side, int64_t size) {
  const Tensor centres = at::arange(size, first.options()).add_(0.5).div_(static_cast<double>(size));
  return (first.unsqueeze(1) + side.unsqueeze(1) * centres).sub_(0.5).clamp_(0, static_cast<double>(size - 1));
}

/// B x 1 x S x S, whose product with the columns of B x C x S x S pixels is linear interpolation at `positions`.
Tensor interpolation(const Tensor& positions, const Tensor& pixels) {
  const Tensor distance = (positions.unsqueeze(2) - at::arange(pixels.size(2), positions.options())).abs();
  return (1 - distance).clamp_min_(0).unsqueeze(1).to(pixels.scalar_type());
}

}  // namespace

Tensor Views::joined() const {
  return at::cat({top.unsqueeze(1), left.unsqueeze(1), side.unsqueeze(1), gain.flatten(1), offset.flatten(1)}, 1);
}

Views Views::of(const Tensor& joined) {
  const int64_t images = joined.size(0), channels = (joined.size(1) - 3) / 2;
  const std::vector<Tensor> parts = joined.split_with_sizes({1, 1, 1, channels, channels}, 1);
  const auto vector = [&](const Tensor& part) { return part.reshape({images}); };
  const auto per_channel = [&](const Tensor& part) { return part.reshape({images, -1, 1, 1}); };
  return {vector(parts[0]), vector(parts[1]), vector(parts[2]), per_channel(parts[3]), per_channel(parts[4])};
}

Views Views::to(at::Device device) const {
  return side.defined() ? Views::of(sent_to(device, joined())) : Views();
}

Views draw_views(const SynthesisJob& job, const Preprocessing& preprocessing, const Unit& unit, int64_t iteration) {
  const ViewsJob& views = job.views;
  if (job.method != "views" || (views.smallest_side == 1.0 && views.colour == 0.0)) return {};
  const int64_t channels = preprocessing.channels();
  const auto size = static_cast<double>(preprocessing.image_size);
  const double imagenet_pixel = 0.226 / preprocessing.mean_std();
  std::vector<float> top, left, sides, gain, offset;
  for (int64_t image = unit.first; image <= unit.last(); ++image) {
    RandomStream random(job.seed, Purpose::views, image, iteration);
    const double side = size * random.uniform(views.smallest_side, 1.0);
    sides.push_back(static_cast<float>(side));
    top.push_back(static_cast<float>(random.uniform() * (size - side)));
    left.push_back(static_cast<float>(random.uniform() * (size - side)));
    for (int64_t channel = 0; channel < channels; ++channel) {
      gain.push_back(static_cast<float>(std::exp(views.colour * random.uniform(-1.0, 1.0))));
      offset.push_back(static_cast<float>(views.colour * imagenet_pixel * random.uniform(-1.0, 1.0)));
    }
  }
  const auto per_channel = [&](const std::vector<float>& values) {
    return at::tensor(values).reshape({unit.images, channels, 1, 1});
  };
  return {.top = at::tensor(top),
          .left = at::tensor(left),
          .side = at::tensor(sides),
          .gain = per_channel(gain),
          .offset = per_channel(offset)};
}

Tensor seen_through(const Views& views, const Tensor& pixels, at::ScalarType precision) {
  if (!views.side.defined()) return pixels;
  const int64_t size = pixels.size(3);
  const Tensor down = positions_in_window(views.top, views.side, size),
               across = positions_in_window(views.left, views.side, size);
  const Tensor read = pixels.to(precision);
  const Tensor rows = at::matmul(interpolation(down, read), read);
  const Tensor windows = at::matmul(rows, interpolation(across, read).transpose(2, 3));
  return windows * views.gain + views.offset;
}

}  // namespace eidolon
