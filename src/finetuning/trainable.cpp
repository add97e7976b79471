#include "finetuning/trainable.h"

#include "model/section.h"

namespace eidolon {
namespace {

constexpr double lowest_scale = 0.1;     ///< of the calibrated one
constexpr double float_channel = 127.0;  ///< steps to the largest value where a weight has no quantizer

/// One step per output channel, [out], or [1] for a per-tensor quantizer.
Tensor channel_steps(const Student& calibrated, NodeId node) {
  const auto quantizer = calibrated.quantizers.find(node);
  if (quantizer != calibrated.quantizers.end()) return quantizer->second.scale.detach().clone();
  return calibrated.model[parameter_of(node)].detach().abs().amax().reshape({1}) / float_channel;
}

Trainable trainable(const std::string& name, Tensor& tensor, const Tensor& rate) {
  tensor.requires_grad_(true);
  return {name, tensor, rate, AdamMoments::zeros_like(tensor)};
}

Trainable trainable_bias(Student& student, const Student& calibrated, NodeId node, double rate) {
  const std::string name = bias_of(parameter_of(node));
  return trainable("student/" + name, student.model.parameters.at(name), channel_steps(calibrated, node) * rate);
}

}  // namespace

std::vector<Trainable> trainable_weights(Student& student, const Student& calibrated, const std::vector<NodeId>& weights,
                                         double rate) {
  std::vector<Trainable> result;
  for (const NodeId node : weights) {
    const std::string name = parameter_of(node);
    Tensor& weight = student.model.parameters.at(name);
    std::vector<int64_t> broadcast(static_cast<size_t>(weight.dim()), 1);
    broadcast[0] = -1;
    result.push_back(trainable("student/" + name, weight, (channel_steps(calibrated, node) * rate).reshape(broadcast)));
    result.push_back(trainable_bias(student, calibrated, node, rate));
  }
  return result;
}

std::vector<Trainable> trainable_biases(Student& student, const Student& calibrated, const std::vector<NodeId>& weights,
                                        double rate) {
  std::vector<Trainable> result;
  for (const NodeId node : weights) result.push_back(trainable_bias(student, calibrated, node, rate));
  return result;
}

std::vector<Trainable> trainable_scales(Student& student, const Student& calibrated, const std::vector<NodeId>& nodes,
                                        double rate) {
  std::vector<Trainable> result;
  if (rate == 0.0) return result;
  for (const NodeId node : nodes) {
    const auto quantizer = student.quantizers.find(node);
    if (quantizer == student.quantizers.end()) continue;
    const Tensor before = calibrated.quantizers.at(node).scale.detach();
    result.push_back(trainable("quantizers/" + node_name(node) + "/scale", quantizer->second.scale, before * rate));
    result.back().lowest = before * lowest_scale;
  }
  return result;
}

TensorMap student_tensors_of(const std::vector<Trainable>& trainables) {
  TensorMap tensors;
  for (const Trainable& entry : trainables) {
    if (!entry.transient) tensors[entry.name] = entry.parameter;
  }
  return tensors;
}

void freeze(std::vector<Trainable>& trainables) {
  for (Trainable& entry : trainables) entry.parameter.requires_grad_(false);
}

}  // namespace eidolon
