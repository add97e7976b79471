#include "finetuning/trainable.h"

#include "finetuning/section.h"

namespace eidolon {
namespace {

/// One step per output channel, [out], or [1] for a per-tensor quantizer.
Tensor channel_steps(const Student& student, NodeId node, const Tensor& weight) {
  const auto quantizer = student.quantizers.find(node);
  if (quantizer != student.quantizers.end()) return quantizer->second.scale.detach().clone();
  return weight.detach().abs().amax().reshape({1}) / 127.0;
}

Trainable trainable(const std::string& name, Tensor& tensor, const Tensor& rate) {
  tensor.requires_grad_(true);
  return {name, tensor, rate, AdamMoments::zeros_like(tensor)};
}

}  // namespace

std::vector<Trainable> trainable_weights(Student& student, const std::vector<NodeId>& weights, double rate) {
  std::vector<Trainable> result;
  for (const NodeId node : weights) {
    const std::string name = parameter_of(node);
    Tensor& weight = student.model.parameters.at(name);
    Tensor& bias = student.model.parameters.at(bias_of(name));
    const Tensor steps = channel_steps(student, node, weight) * rate;
    std::vector<int64_t> broadcast(static_cast<size_t>(weight.dim()), 1);
    broadcast[0] = -1;
    result.push_back(trainable("student/" + name, weight, steps.reshape(broadcast)));
    result.push_back(trainable("student/" + bias_of(name), bias, steps));
  }
  return result;
}

std::vector<Trainable> trainable_scales(Student& student, const std::vector<NodeId>& nodes, double rate) {
  std::vector<Trainable> result;
  if (rate == 0.0) return result;
  for (const NodeId node : nodes) {
    const auto quantizer = student.quantizers.find(node);
    if (quantizer == student.quantizers.end()) continue;
    Tensor& scale = quantizer->second.scale;
    result.push_back(trainable("quantizers/" + node_name(node) + "/scale", scale, scale.detach() * rate));
  }
  return result;
}

void freeze(std::vector<Trainable>& trainables) {
  for (Trainable& entry : trainables) entry.parameter.requires_grad_(false);
}

}  // namespace eidolon
