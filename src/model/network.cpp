#include "model/network.h"

#include <vector>

#include "base/pulse.h"
#include "model/parts/run_steps.h"

namespace eidolon {
namespace {

/// The output from x, that of `section` (-1: the images). Parts that earlier sections give are 0.
Tensor output_behind(const Network& network, int section, Tensor x, const Tap& tap) {
  const std::vector<OutputPart>& parts = network.plan->output.parts;
  std::vector<Tensor> given(parts.size());
  for (int now = section; now < network.plan->section_count(); ++now) {
    if (now > section) x = forward_section(network, now, x, tap);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].section == now) given[i] = run_steps(network, parts[i].steps, x, tap).flatten(1);
      if (parts[i].section < section) given[i] = at::zeros({x.size(0), parts[i].elements()}, x.options());
    }
  }
  return parts.empty() ? x : at::cat(given, 1);
}

}  // namespace

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
  return output_behind(network, -1, images, tap);
}

Tensor forward_behind(const Network& network, int section, const Tensor& section_output) {
  return output_behind(network, section, section_output, {});
}

Tensor output_of(const Network& network, const std::vector<Tensor>& sections) {
  std::vector<Tensor> given;
  for (const OutputPart& part : network.plan->output.parts) {
    given.push_back(run_steps(network, part.steps, sections.at(static_cast<size_t>(part.section)), {}).flatten(1));
  }
  return given.empty() ? sections.back() : at::cat(given, 1);
}

std::vector<Tensor> forward_outputs(const Network& network, const Tensor& images, const Tap& tap) {
  std::vector<Tensor> outputs;
  for (int section = 0; section < network.plan->section_count(); ++section) {
    outputs.push_back(forward_section(network, section, outputs.empty() ? images : outputs.back(), tap));
  }
  return outputs;
}

}  // namespace eidolon
