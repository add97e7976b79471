// The layers that families are built of. Each shows its nodes to the Tap, in forward order.
#pragma once

#include <string>

#include "model/network.h"

namespace eidolon {

/// The product's input, then its weight are shown; then rows_of(input) W^T + b. For maps the result is B x places x outputs.
Tensor multiply(const Network& network, const Product& product, const Tensor& x, const Tap& tap);

/// The same of a convolution, whose result stays maps: B x outputs x H' x W'.
Tensor convolve(const Network& network, const Product& product, const Tensor& x, const Tap& tap);

/// A norm over the last axis with the parameters "<name>.weight" and "<name>.bias".
Tensor normalised(const Network& network, const steps::Norm& norm, const Tensor& x);

Tensor activated(Activation activation, const Tensor& x);

}  // namespace eidolon
