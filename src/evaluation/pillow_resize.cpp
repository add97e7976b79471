#include "evaluation/pillow_resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

// 32-bit sums of 8-bit samples, with 2 bits to spare because negative lobes let weights add up to more than one.
constexpr int kFractionBits = 32 - 8 - 2;

double support_of(Interpolation interpolation) {
  return interpolation == Interpolation::bilinear ? 1.0 : 2.0;
}

double bilinear(double x) {
  return std::max(0.0, 1.0 - std::abs(x));
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

/// Output sample i is the sum over t < count of weights[t] * input[first + t].
struct Window {
  int64_t first = 0;
  int64_t count = 0;
  std::vector<int32_t> weights;
};

std::vector<Window> windows_of(int64_t from, int64_t to, Interpolation interpolation) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);  // a reduction averages over more samples; an enlargement interpolates
  const double reach = support_of(interpolation) * stretch;
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
      weights.push_back(interpolation == Interpolation::bilinear ? bilinear(x) : bicubic(x));
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

}  // namespace

Tensor resize_like_pillow(const Tensor& image, int64_t height, int64_t width, Interpolation interpolation) {
  const bool is_picture = image.dim() == 3 && image.scalar_type() == at::kByte && image.numel() > 0;
  if (!is_picture || (image.size(2) != 1 && image.size(2) != 3) || height < 1 || width < 1) {
    throw BadInput("resizing needs a uint8 height x width x (1 or 3) picture and a positive size, not " +
                   std::to_string(height) + " x " + std::to_string(width));
  }
  Tensor result = image.contiguous();
  if (width != image.size(1)) {
    result = resample_columns(result, width, interpolation);
  }
  return height == image.size(0) ? result : resample_rows(result, height, interpolation);
}

}  // namespace eidolon
