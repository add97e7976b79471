#include "synthesis/parametrization.h"

#include "tests/synthesis/references.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::reference;
using testing::small_job;

const std::vector<std::string> all{"pixels", "fourier", "pyramid"};

SynthesisJob job_with(const std::string& parametrization) {
  SynthesisJob job = small_job();
  job.parametrization = parametrization;
  return job;
}

Preprocessing preprocessing_of(int64_t size) {
  return {size, {0.5, 0.4, 0.6}, {0.2, 0.25, 0.3}, 0.9, "bicubic"};
}

TEST(Parametrization, OfFourierIsASumOfWavesOverTheirFrequency) {
  const Tensor pixels = decode_pixels(job_with("fourier"), preprocessing_of(16), reference("fourier.parameters"));
  EXPECT_LT(largest_difference(pixels, reference("fourier.pixels")), 1e-9);
}

TEST(Parametrization, OfThePyramidAreDifferencesFromTheEnlargedHalf) {
  const Tensor parameters = encode_pixels(job_with("pyramid"), reference("pyramid.pixels"));
  EXPECT_LT(largest_difference(parameters, reference("pyramid.parameters")), 1e-6);
}

TEST(Parametrization, DecodesWhatItEncoded) {
  for (const std::string& name : all) {
    for (const int64_t size : {12, 32, 56}) {
      at::manual_seed(3);
      const Tensor pixels = at::randn({2, 3, size, size});
      const SynthesisJob job = job_with(name);
      const Tensor decoded = decode_pixels(job, preprocessing_of(size), encode_pixels(job, pixels));
      EXPECT_LT(largest_difference(decoded, pixels), 1e-5) << name << size;
    }
  }
}

TEST(Parametrization, StepsOfOneSizeMovePixelsByThatSize) {
  for (const std::string& name : all) {
    const SynthesisJob job = job_with(name);
    const Preprocessing preprocessing = preprocessing_of(64);
    at::manual_seed(3);
    const Tensor start = encode_pixels(job, at::randn({8, 3, 64, 64}));
    const Tensor step = 0.1 * at::randn_like(start).sign();
    const Tensor moved = decode_pixels(job, preprocessing, start + step) - decode_pixels(job, preprocessing, start);
    const double size = moved.square().mean().sqrt().item<double>();
    EXPECT_LT(size, 0.1 * 1.05) << name;
    EXPECT_GT(size, 0.1 * (name == "pyramid" ? 0.6 : 0.95)) << name;
  }
}

TEST(Parametrization, ClampsPixelsToTheValidRangeAndLeavesValidOnesAlone) {
  for (const std::string& name : all) {
    const SynthesisJob job = job_with(name);
    const Preprocessing preprocessing = preprocessing_of(32);
    at::manual_seed(3);
    const Tensor pixels = at::randn({2, 3, 32, 32}) * 3;
    Tensor parameters = encode_pixels(job, pixels).clone();
    clamp_to_valid(job, preprocessing, valid_pixels(preprocessing), parameters);
    const Tensor mean = preprocessing.mean_tensor(), std = preprocessing.std_tensor();
    const Tensor expected = (pixels * std + mean).clamp(0, 1);
    EXPECT_LT(largest_difference(decode_pixels(job, preprocessing, parameters) * std + mean, expected), 1e-5) << name;
    const Tensor before = parameters.clone();
    clamp_to_valid(job, preprocessing, valid_pixels(preprocessing), parameters);
    EXPECT_LT(largest_difference(parameters, before), 1e-4) << name;
  }
}

}  // namespace
}  // namespace eidolon
