// Outlier channels on a float side path.
//
// A single channel that reaches forty times as far as the others costs all of them five bits, since a runtime has one scale for
// a layer's whole input. Such a channel is multiplied in float beside the integers, a product of rank one:
//   W x = W_int x_int + W_f x_f.
// Channels are chosen at calibration, from synthetic images alone, because a bias correction belongs to its quantizers.
#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace eidolon {

/// The channels to take out of a layer's input: the fewest after which no further ones, `most` in all, would halve the range
/// that the rest spans, which is one bit for all of them. `low` and `high`: float [channels], the extremes of each channel.
/// Returns ascending indices as Quantizer::float_channels holds them; undefined if none.
Tensor outlier_channels(const Tensor& low, const Tensor& high, int64_t most);

/// `rounded` with these channels of its last axis as they are in `exact`. `channels` undefined: `rounded` itself.
Tensor with_float_channels(const Tensor& rounded, const Tensor& exact, const Tensor& channels);

/// x with zeros in these channels.
Tensor without_float_channels(const Tensor& x, const Tensor& channels);

}  // namespace eidolon
