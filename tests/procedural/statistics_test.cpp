// Statistics that photographs have. In normalised pixels their standard deviation is about 1 and that of their 16 x 16 patch
// means nearly as large (of Gaussian noise: 0.06); their amplitude spectra fall with exponents near 1 to 1.2 (Field 1987;
// Torralba and Oliva 2003).
#include <gtest/gtest.h>

#include <cmath>

#include "procedural/noise_field.h"
#include "procedural/procedural_image.h"

namespace eidolon {
namespace {

constexpr int64_t size = 224;
constexpr double imagenet_std = 0.226;

/// float64 N x 3 x S x S.
Tensor images_of(const std::string& family, int64_t count) {
  std::vector<Tensor> images;
  for (int64_t index = 0; index < count; ++index) {
    RandomStream random(1, Purpose::procedural_start, index);
    images.push_back(procedural_image(family, random, 3, size));
  }
  return at::stack(images).to(at::kDouble);
}

/// Least-squares slope of log(rms amplitude) against log(frequency) over rings from 4 to 64 cycles per picture. `grey`:
/// N x S x S. A Hann window takes the step between opposite borders away.
double spectrum_slope(const Tensor& grey) {
  const Tensor hann = at::hann_window(grey.size(-1), at::kDouble);
  const Tensor centred = (grey - grey.mean(at::IntArrayRef{1, 2}, true)) * hann.unsqueeze(0) * hann.unsqueeze(1);
  const Tensor power = at::fft_fft2(centred).abs().square().mean(0);
  const Tensor f = at::fft_fftfreq(grey.size(-1), 1.0 / static_cast<double>(grey.size(-1)), at::kDouble);
  const Tensor radius = (f.square().unsqueeze(0) + f.square().unsqueeze(1)).sqrt();
  std::vector<double> x, y;
  for (double low = 4; low < 64; low *= std::sqrt(2.0)) {
    const Tensor ring = radius.ge(low).logical_and(radius.lt(low * std::sqrt(2.0)));
    x.push_back(radius.masked_select(ring).log().mean().item<double>());
    y.push_back(0.5 * std::log(power.masked_select(ring).mean().item<double>()));
  }
  const Tensor a = at::tensor(x, at::kDouble), b = at::tensor(y, at::kDouble);
  return (((a - a.mean()) * (b - b.mean())).sum() / (a - a.mean()).square().sum()).item<double>();
}

struct Contrast {
  double pixels, patch_means;
};

Contrast contrast_of(const Tensor& images) {
  const Tensor normalised = (images - images.mean(at::IntArrayRef{0, 2, 3}, true)) / imagenet_std;
  return {normalised.std().item<double>(), at::avg_pool2d(normalised, {16, 16}).std().item<double>()};
}

TEST(NoiseField, HasTheExponentItWasDrawnWith) {
  for (const double exponent : {0.0, 0.7, 1.0, 1.5, 2.0}) {
    std::vector<Tensor> fields;
    for (int64_t index = 0; index < 8; ++index) {
      RandomStream random(1, Purpose::procedural_start, index);
      NoiseField field = draw_noise_field(random, size, exponent);
      fields.push_back(at::from_blob(field.values.data(), {size, size}, at::kFloat).to(at::kDouble));
    }
    const Tensor all = at::stack(fields);
    EXPECT_NEAR(spectrum_slope(all), -exponent, 0.08);
    EXPECT_NEAR(all.mean().item<double>(), 0.0, 1e-5);
    EXPECT_NEAR(all.square().mean().item<double>(), 1.0, 1e-4);
  }
}

TEST(NoiseField, IsInterpolatedAndWrapsAround) {
  RandomStream random(1, Purpose::procedural_start, 0);
  const NoiseField field = draw_noise_field(random, 17, 1.0);
  const auto value = [&](int64_t x, int64_t y) { return field.values[static_cast<size_t>(y * 17 + x)]; };
  EXPECT_FLOAT_EQ(field.at(3, 5), value(3, 5));
  EXPECT_NEAR(field.at(3.25, 5), 0.75 * value(3, 5) + 0.25 * value(4, 5), 1e-6);
  EXPECT_NEAR(field.at(3, 16.5), 0.5 * value(3, 16) + 0.5 * value(3, 0), 1e-6);
  EXPECT_NEAR(field.at(-14, 5 + 17 * 3), value(3, 5), 1e-6);
  EXPECT_NEAR(field.at(-0.5, 0), 0.5 * value(16, 0) + 0.5 * value(0, 0), 1e-6);
}

TEST(Statistics, SpectraFallAsThoseOfPhotographs) {
  for (const char* family : {"pink", "leaves"}) {
    const double slope = spectrum_slope(images_of(family, 32).mean(1));
    EXPECT_GT(slope, -1.6) << family;
    EXPECT_LT(slope, -0.8) << family;
  }
}

TEST(Statistics, ContrastIsThatOfPhotographs) {
  for (const std::string_view family : procedural_families()) {
    const Contrast contrast = contrast_of(images_of(std::string(family), 48));
    EXPECT_GT(contrast.pixels, 0.85) << family;
    EXPECT_LT(contrast.pixels, 1.25) << family;
    EXPECT_GT(contrast.patch_means, 0.65) << family;
    EXPECT_LT(contrast.patch_means, 1.15) << family;
  }
}

TEST(Statistics, NeighboursOfTwoPicturesOfOneFamilyAreUnrelated) {
  for (const std::string_view family : procedural_families()) {
    const Tensor flat = images_of(std::string(family), 33).reshape({33, -1});
    const Tensor deviations = flat - flat.mean(1, true), unit = deviations / deviations.norm(2, {1}, true);
    const Tensor correlations = (unit.narrow(0, 0, 32) * unit.narrow(0, 1, 32)).sum(1);
    EXPECT_LT(correlations.mean().abs().item<double>(), 0.3) << family;  // scenes share their up and down
  }
}

}  // namespace
}  // namespace eidolon
