// A network: a plan and the tensors that it runs on. One definition serves the teacher and the student.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "model/plan.h"

namespace eidolon {

struct Network {
  std::shared_ptr<const Plan> plan;
  TensorMap parameters;  ///< by the names of Plan::parameters

  const Tensor& operator[](const std::string& name) const { return parameters.at(name); }
  const Tensor& operator[](NodeId weight) const { return parameters.at(plan->name(weight)); }
  at::Device device() const { return parameters.begin()->second.device(); }
  at::ScalarType dtype() const { return parameters.begin()->second.scalar_type(); }

  Network to(at::Device device, at::ScalarType dtype) const;  ///< shares what already fits
  Network clone() const;                                      ///< deep
};

/// images: B x C x S x S, normalised, in the network's dtype. Returns the output, B x Plan::output.size.
Tensor forward(const Network& network, const Tensor& images, const Tap& tap = {});

/// One section of the plan: what the section before it gave (images for section 0) to its own output.
Tensor forward_section(const Network& network, int section, const Tensor& input, const Tap& tap = {});

/// Every section's output, in order: what forward() computes, kept.
std::vector<Tensor> forward_outputs(const Network& network, const Tensor& images, const Tap& tap = {});

/// The output, as forward() gives it, from every section's output.
Tensor output_of(const Network& network, const std::vector<Tensor>& sections);

/// The output from that of one section. Parts of the output that earlier sections give are 0.
Tensor forward_behind(const Network& network, int section, const Tensor& section_output);

}  // namespace eidolon
