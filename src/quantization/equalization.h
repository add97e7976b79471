// Ranges of the channels in front of a depthwise convolution made alike, so that one scale serves them all: cross-layer
// equalization (Nagel et al., ICCV 2019, arXiv 1906.04721, section 4.1).
#pragma once

#include "model/network.h"

namespace eidolon {

/// Where a depthwise convolution reads another convolution alone (Product::source), channel c between them is multiplied by f_c
/// = widest range / range of c: the weights and the bias in front are, the weights behind are divided. Those have a scale per
/// channel anyway, so that nothing is lost. (In front of a dense convolution the columns of one scale would drift apart: int8
/// EfficientNet-Lite0 then loses five times as much.)
///
/// ReLU lets f pass. Behind ReLU6 the widest range is 6, and channel c is then cut off at 6 / f_c instead. Photographs reach
/// farther than synthetic images, so the range is what the images show or, if that is wider, mean + 6 deviations of the
/// training data as BatchNorm kept them (Product::statistics).
///  images: normalised float32 B x C x S x S on the network's device, of which `batch` are passed at a time.
void equalize_channels(Network& network, const Tensor& images, int64_t batch);

}  // namespace eidolon
