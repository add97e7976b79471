// How bytes become the teacher's input. One definition, read from the model's own config, used by synthesis, evaluation and
// export, and stored in every artefact.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct Preprocessing {
  int64_t image_size = 224;
  std::vector<double> mean{0.5, 0.5, 0.5};  ///< per channel, of pixels in [0, 1]
  std::vector<double> std{0.5, 0.5, 0.5};
  double crop_pct = 0.9;                  ///< a photograph is cut to image_size from one of floor(image_size / crop_pct)
  std::string interpolation = "bicubic";  ///< Pillow's: nearest | box | bilinear | hamming | bicubic | lanczos
  std::string resize = "shorter side";  ///< what becomes floor(image_size / crop_pct): shorter side | longer side | both sides
  std::string crop_offset = "to even";  ///< how half a pixel of the cut is rounded: to even (timm) | down (transformers)

  int64_t channels() const { return static_cast<int64_t>(mean.size()); }
  double mean_std() const;  ///< the average over channels

  Tensor mean_tensor(at::TensorOptions options = at::kFloat) const;  ///< 1 x C x 1 x 1
  Tensor std_tensor(at::TensorOptions options = at::kFloat) const;
};

/// uint8 B x C x S x S -> normalised float32.
Tensor normalise(const Preprocessing& preprocessing, const Tensor& bytes);

/// Normalised -> uint8, rounded to nearest and clipped.
Tensor to_bytes(const Preprocessing& preprocessing, const Tensor& normalised);

/// Canonical JSON (sorted keys).
std::string to_json(const Preprocessing& preprocessing);
Preprocessing preprocessing_from_json(const std::string& text);

}  // namespace eidolon
