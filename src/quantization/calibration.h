// Calibration: a teacher, a scheme and some images in; a student whose every quantizer has a range out.
#pragma once

#include <functional>

#include "model/network.h"
#include "quantization/correction.h"
#include "quantization/range_search.h"
#include "quantization/scheme.h"
#include "quantization/student.h"

namespace eidolon {

inline constexpr int64_t calibration_batch = 16;  ///< images per forward pass; sums of float32 depend on it

struct CalibrationSettings {
  bool reparameterize = true;  ///< quantization/reparameterization.h of inputs behind a norm, equalization.h of maps
  int64_t batch = calibration_batch;
  Correction correction = Correction::none;
  double ridge = 0.3;        ///< quantization/ridge_correction.h
  bool rotate_heads = true;  ///< quantization/head_rotation.h
  LowRankSettings low_rank = {};
  Ranges ranges = Ranges::of_least_squares;
  int64_t float_channels = 0;  ///< of a layer's input that may stay float, at most: quantization/float_channels.h
};
CalibrationSettings calibration_settings(const QuantizationJob& job);

/// `images`: normalised float32 B x C x S x S on the model's device. Walks section by section, holding the observations
/// of one section at a time, and corrects each section once it has its ranges. Long tensors are thinned to at most 2^22 values
/// per node by a fixed stride before the search; the stride has no factor in common with the tensor's layout, so that every
/// channel is seen. `advance` is called after each section (progress). Without correction the student's float function stays
/// that of the teacher, but where equalization cuts off what ReLU6 would let pass: folding is lossless. Throws Fault naming the
/// node if the teacher overflows on the images, or if there are none.
Student calibrate(const Network& teacher, const Scheme& scheme, const Tensor& images, const CalibrationSettings& settings,
                  const std::function<void()>& advance = {});

}  // namespace eidolon
