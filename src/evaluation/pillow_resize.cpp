#include "evaluation/pillow_resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

// 32-bit sums of 8-bit samples, with 2 bits to spare because negative lobes let weights add up to more than one.
constexpr int kFractionBits = 32 - 8 - 2;

double box(double x) {
  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double bilinear(double x) {
  return std::max(0.0, 1.0 - std::abs(x));
}

/// Pillow writes these two constants in single precision.
double hamming(double x) {
  x = std::abs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));
}

/// Keys' cubic convolution with a = -0.5. The order of operations decides the last bit of a weight.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) {
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  }
  return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) {
  return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

struct Filter {
  double support;
  double (*weight)(double);
};

Filter filter_of(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::box:
      return {0.5, box};
    case Interpolation::bilinear:
      return {1.0, bilinear};
    case Interpolation::hamming:
      return {1.0, hamming};
    case Interpolation::bicubic:
      return {2.0, bicubic};
    case Interpolation::lanczos:
      return {3.0, lanczos};
    case Interpolation::nearest:
      break;
  }
  throw BadInput("nearest is no filter");
}

/// Output sample i is the sum over t < count of weights[t] * input[first + t].
struct Window {
  int64_t first = 0;
  int64_t count = 0;
  std::vector<int32_t> weights;
};

std::vector<Window> windows_of(int64_t from, int64_t to, Interpolation interpolation) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);  // a reduction averages over more samples; an enlargement interpolates
  const Filter filter = filter_of(interpolation);
  const double reach = filter.support * stretch;
  const double shrink = 1.0 / stretch;

  std::vector<Window> windows(to);
  std::vector<double> weights;
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - reach + 0.5));
    const int64_t end = std::min<int64_t>(from, static_cast<int64_t>(centre + reach + 0.5));
    weights.clear();
    double sum = 0.0;
    for (int64_t t = 0; t < end - first; ++t) {
      const double x = (static_cast<double>(t + first) - centre + 0.5) * shrink;
      weights.push_back(filter.weight(x));
      sum += weights.back();
    }
    windows[i] = {first, end - first, {}};
    for (const double weight : weights) {
      const double scaled = (sum == 0.0 ? weight : weight / sum) * (1 << kFractionBits);
      windows[i].weights.push_back(static_cast<int32_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5));
    }
  }
  return windows;
}

constexpr int32_t kHalf = 1 << (kFractionBits - 1);

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

/// One row of `Channels` interleaved samples.
template <int Channels>
void resample_row(const uint8_t* from, uint8_t* to, const std::vector<Window>& windows) {
  for (const Window& window : windows) {
    int32_t sums[Channels];
    std::fill_n(sums, Channels, kHalf);
    const uint8_t* sample = from + window.first * Channels;
    for (const int32_t weight : window.weights) {
      for (int c = 0; c < Channels; ++c) {
        sums[c] += weight * sample[c];
      }
      sample += Channels;
    }
    to = std::transform(sums, sums + Channels, to, to_byte);
  }
}

Tensor resample_columns(const Tensor& image, int64_t width, Interpolation interpolation) {
  const int64_t height = image.size(0);
  const int64_t channels = image.size(2);
  const std::vector<Window> windows = windows_of(image.size(1), width, interpolation);
  Tensor result = at::empty({height, width, channels}, at::kByte);
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* from = image.const_data_ptr<uint8_t>() + y * image.stride(0);
    uint8_t* to = result.mutable_data_ptr<uint8_t>() + y * width * channels;
    channels == 1 ? resample_row<1>(from, to, windows) : resample_row<3>(from, to, windows);
  }
  return result;
}

/// A row at a time, so that the inner loops run over neighbouring samples.
Tensor resample_rows(const Tensor& image, int64_t height, Interpolation interpolation) {
  const std::vector<Window> windows = windows_of(image.size(0), height, interpolation);
  const int64_t samples = image.size(1) * image.size(2);
  Tensor result = at::empty({height, image.size(1), image.size(2)}, at::kByte);
  std::vector<int32_t> sums(samples);
  for (int64_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    const uint8_t* from = image.const_data_ptr<uint8_t>() + windows[y].first * samples;
    for (const int32_t weight : windows[y].weights) {
      for (int64_t i = 0; i < samples; ++i) {
        sums[i] += weight * from[i];
      }
      from += samples;
    }
    std::transform(sums.begin(), sums.end(), result.mutable_data_ptr<uint8_t>() + y * samples, to_byte);
  }
  return result;
}

/// Which sample each output sample takes. Pillow adds the step up, and so its rounding errors; a product would differ.
Tensor nearest_samples(int64_t from, int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  std::vector<int64_t> samples;
  for (double position = step * 0.5; static_cast<int64_t>(samples.size()) < to; position += step) {
    samples.push_back(std::min(static_cast<int64_t>(position), from - 1));
  }
  return at::tensor(samples, at::kLong);
}

}  // namespace

Interpolation interpolation_named(const std::string& name) {
  constexpr std::array<std::pair<const char*, Interpolation>, 6> names{{{"nearest", Interpolation::nearest},
                                                                        {"box", Interpolation::box},
                                                                        {"bilinear", Interpolation::bilinear},
                                                                        {"hamming", Interpolation::hamming},
                                                                        {"bicubic", Interpolation::bicubic},
                                                                        {"lanczos", Interpolation::lanczos}}};
  for (const auto& [known, interpolation] : names) {
    if (name == known) return interpolation;
  }
  throw BadInput("interpolation '" + name + "' is not built; nearest, box, bilinear, hamming, bicubic and lanczos are");
}

Tensor resize_like_pillow(const Tensor& image, int64_t height, int64_t width, Interpolation interpolation) {
  const bool is_picture = image.dim() == 3 && image.scalar_type() == at::kByte && image.numel() > 0;
  if (!is_picture || (image.size(2) != 1 && image.size(2) != 3) || height < 1 || width < 1) {
    throw BadInput("resizing needs a uint8 height x width x (1 or 3) picture and a positive size, not " +
                   std::to_string(height) + " x " + std::to_string(width));
  }
  if (interpolation == Interpolation::nearest) {
    return image.index_select(0, nearest_samples(image.size(0), height))
        .index_select(1, nearest_samples(image.size(1), width))
        .contiguous();
  }
  Tensor result = image.contiguous();
  if (width != image.size(1)) {
    result = resample_columns(result, width, interpolation);
  }
  return height == image.size(0) ? result : resample_rows(result, height, interpolation);
}

}  // namespace eidolon
