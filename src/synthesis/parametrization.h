// What Adam moves in place of pixels: coefficients in which a step of one size is a natural change of an image (Olah et al.,
// "Feature Visualization", Distill 2017, preconditioning).
//
//   pixels   themselves.
//   fourier  cosine coefficients divided by 1/f: low frequencies, which carry an image's power, move most.
//   pyramid  the levels of a Laplacian pyramid (Burt and Adelson, 1983): each scale moves like the others.
//
// All are scaled so that steps of one size and random signs in all coefficients change pixels by that size in the root mean
// square, for the pyramid at most: the learning rate keeps its meaning in pixels. A single pixel may move farther, since
// coefficients add up.
#pragma once

#include "base/tensor.h"
#include "job/job.h"
#include "model/preprocessing.h"
#include "synthesis/start.h"

namespace eidolon {

/// pixels: B x C x S x S. Returns B x K float32, K >= C S S for the pyramid, or B x C x S x S; decode_pixels() gives the
/// pixels back.
Tensor encode_pixels(const SynthesisJob& job, const Tensor& pixels);

/// Differentiable; B x C x S x S.
Tensor decode_pixels(const SynthesisJob& job, const Preprocessing& preprocessing, const Tensor& parameters);

/// Moves the parameters so that the pixels lie between black and white: to the clamped pixels, for the pyramid by its finest
/// level alone.
void clamp_to_valid(const SynthesisJob& job, const Preprocessing& preprocessing, const PixelRange& valid, Tensor& parameters);

}  // namespace eidolon
