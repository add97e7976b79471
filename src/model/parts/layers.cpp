#include "model/parts/layers.h"

#include <string>

#include "base/error.h"

namespace eidolon {

Tensor multiply(const Network& network, const Product& product, const Tensor& x, const Tap& tap) {
  // In two statements: the order in which one call's arguments are evaluated, and shown, is the compiler's choice.
  const Tensor rows = rows_of(product, seen(tap, product.input, x));
  const Tensor weight = seen(tap, product.weight, network[product.weight]);
  return at::linear(rows, weight.flatten(1), network[product.bias]);
}

Tensor convolve(const Network& network, const Product& product, const Tensor& x, const Tap& tap) {
  const Tensor maps = seen(tap, product.input, x);
  const Tensor weight = seen(tap, product.weight, network[product.weight]);
  const auto [kernel, stride, padding, padding_after, groups] = product.convolution.value();
  const bool even = padding == padding_after;
  // CPUs convolve maps whose channels lie together faster, and all that follows keeps that order: MobileNetV2 makes 1.25 times
  // as many views/s. GPUs keep the order they are given.
  const Tensor ordered = maps.is_cpu() ? maps.contiguous(at::MemoryFormat::ChannelsLast) : maps;
  const Tensor padded = even ? ordered : at::constant_pad_nd(ordered, {padding, padding_after, padding, padding_after});
  const int64_t border = even ? padding : 0;
  const Tensor outputs = at::conv2d(padded, weight, network[product.bias], {stride, stride}, {border, border}, {1, 1}, groups);
  return product.output == NodeId{} ? outputs : seen(tap, product.output, outputs);
}

Tensor normalised(const Network& network, const steps::Norm& norm, const Tensor& x) {
  const Tensor &weight = network[norm.name + ".weight"], &bias = network[norm.name + ".bias"];
  if (norm.centred) return at::layer_norm(x, {x.size(-1)}, weight, bias, norm.epsilon);
  return at::rms_norm(x, {x.size(-1)}, weight, norm.epsilon) + bias;
}

Tensor activated(Activation activation, const Tensor& x) {
  constexpr double quick_slope = 1.702;
  switch (activation) {
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::quick_gelu:
      return x * at::sigmoid(x * quick_slope);
    case Activation::silu:
      return at::silu(x);
    case Activation::relu:
      return at::relu(x);
    case Activation::relu6:
      return at::hardtanh(x, 0, relu6_ceiling);  // its gradient is one pass, clamp's several
  }
  throw Fault("an activation is of an unknown kind");
}

}  // namespace eidolon
