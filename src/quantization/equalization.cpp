#include "quantization/equalization.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace eidolon {
namespace {

constexpr double deviations = 6;            ///< above the mean, that a channel's range has at least
constexpr double smallest_fraction = 1e-3;  ///< of the widest range; channels below it are (nearly) constant and stay

/// A depthwise convolution with one output a channel.
bool is_equalized(const Network& network, const Product& product) {
  const Tensor& weight = network[product.weight];
  return product.source && product.convolution && weight.size(1) == 1 && weight.size(0) == product.convolution.value().groups;
}

/// The largest magnitude of every channel, by the node of the product's input.
std::map<NodeId, Tensor> largest_magnitudes(const Network& network, const Tensor& images, int64_t batch) {
  std::map<NodeId, Tensor> largest;
  for (const Product& product : network.plan->products) {
    if (is_equalized(network, product)) largest[product.input];
  }
  if (largest.empty()) return largest;
  for (const Tensor& part : images.split(std::max<int64_t>(1, batch))) {
    forward(network, part, [&](NodeId node, const Tensor& tensor) {
      if (const auto found = largest.find(node); found != largest.end()) {
        const Tensor magnitudes = tensor.abs().amax({0, 2, 3}).to(at::kDouble);
        found->second = found->second.defined() ? at::maximum(found->second, magnitudes) : magnitudes;
      }
      return tensor;
    });
  }
  return largest;
}

/// float64 [channels].
Tensor factors(const Network& network, const Source& source, const Tensor& shown) {
  const Tensor statistics = network[network.plan->products[source.product].statistics].to(at::kDouble);
  Tensor range = at::maximum(shown, statistics[0] + deviations * statistics[1]);
  Tensor widest = range.max();
  if (source.ceiling) {
    range = range.clamp_max(source.ceiling.value());
    widest = at::full_like(widest, source.ceiling.value());
  }
  return at::where(range < widest * smallest_fraction, 1.0, widest / range);
}

void scale(Network& network, const std::string& name, const Tensor& factor) {
  Tensor& stored = network.parameters.at(name);
  std::vector<int64_t> along_outputs(static_cast<size_t>(stored.dim()), 1);
  along_outputs[0] = -1;
  stored = (stored.to(at::kDouble) * factor.view(along_outputs)).to(stored.scalar_type());
}

}  // namespace

void equalize_channels(Network& network, const Tensor& images, int64_t batch) {
  const at::NoGradGuard no_gradients;
  const Plan& plan = *network.plan;
  const auto largest = largest_magnitudes(network, images, batch);
  for (const Product& product : plan.products) {
    if (!is_equalized(network, product)) continue;
    const Source source = product.source.value();
    const Product& in_front = plan.products[source.product];
    const Tensor factor = factors(network, source, largest.at(product.input));
    scale(network, plan.name(in_front.weight), factor);
    scale(network, in_front.bias, factor);
    scale(network, plan.name(product.weight), 1 / factor);
  }
}

}  // namespace eidolon
