#include "model/network.h"

#include <vector>

#include "base/pulse.h"
#include "model/parts/run_steps.h"

namespace eidolon {

Network Network::to(at::Device device, at::ScalarType dtype) const {
  Network moved{plan, {}};
  for (const auto& [name, tensor] : parameters) moved.parameters[name] = tensor.detach().to(device, dtype);
  return moved;
}

Network Network::clone() const {
  Network copy{plan, {}};
  for (const auto& [name, tensor] : parameters) copy.parameters[name] = tensor.detach().clone();
  return copy;
}

Tensor forward_section(const Network& network, int section, const Tensor& input, const Tap& tap) {
  pulse();
  return run_steps(network, network.plan->sections.at(static_cast<size_t>(section)).steps, input, tap);
}

Tensor forward(const Network& network, const Tensor& images, const Tap& tap) {
  Tensor x = images;
  for (int section = 0; section < network.plan->section_count(); ++section) x = forward_section(network, section, x, tap);
  return x;
}

std::vector<Tensor> forward_outputs(const Network& network, const Tensor& images, const Tap& tap) {
  std::vector<Tensor> outputs;
  for (int section = 0; section < network.plan->section_count(); ++section) {
    outputs.push_back(forward_section(network, section, outputs.empty() ? images : outputs.back(), tap));
  }
  return outputs;
}

}  // namespace eidolon
