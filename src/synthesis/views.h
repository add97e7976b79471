// What the teacher sees of the images at an iteration: each through a window of its own, in another light.
//
// Through ever new views a class must show wherever one looks. That takes the shapes and textures of things; an image that is
// always seen whole needs but noise that this one view answers to. After Plug-In Inversion (Ghiasi et al., ICML 2022, arXiv
// 2201.12961), whose zoom and colour shift these are, with one view at a time in the place of an ensemble.
#pragma once

#include "base/tensor.h"
#include "job/job.h"
#include "model/preprocessing.h"
#include "synthesis/unit.h"

namespace eidolon {

/// One view of each of B images, float32. All undefined: the whole images as they are.
struct Views {
  Tensor top, left, side;  ///< B, the window, in pixels
  Tensor gain, offset;     ///< B x C x 1 x 1, in normalised pixels

  Tensor joined() const;                  ///< B x (3 + 2 C), so that one copy sends all of it
  static Views of(const Tensor& joined);  ///< and back: views of its memory
  Views to(at::Device device) const;      ///< does not wait for it
};

/// Drawn for (seed, image, iteration). Windows: sides ~ U(smallest_side, 1) of the image's, anywhere within; gains
/// exp(U(-c, c)) and offsets U(-c, c) per channel with c = colour, offsets in ImageNet-normalised pixels. None where
/// smallest_side is 1 and colour 0, and none of other methods than "views".
Views draw_views(const SynthesisJob& job, const Preprocessing& preprocessing, const Unit& unit, int64_t iteration);

/// pixels: normalised B x C x S x S. Returns the windows enlarged to S x S by bilinear interpolation, as two matrix products,
/// whose backward pass is deterministic on every device. The products are computed in `precision`, in which the teacher
/// reads the views. In float32 they took a tenth of an iteration in bf16 (DeiT-Tiny, on a CPU).
Tensor seen_through(const Views& views, const Tensor& pixels, at::ScalarType precision = at::kFloat);

}  // namespace eidolon
