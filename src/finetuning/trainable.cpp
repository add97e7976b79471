#include "finetuning/trainable.h"

#include <cmath>

namespace eidolon {
namespace {

constexpr double lowest_scale = 0.1;  ///< of the calibrated one
constexpr double smallest_length = 1e-12;
constexpr double float_channel = 127.0;  ///< steps to the largest value where a weight has no quantizer

/// One step per output channel, [out], or [1] where all share one scale.
Tensor channel_steps(const Student& calibrated, NodeId weight) {
  const auto found = calibrated.quantizers.find(weight);
  if (found == calibrated.quantizers.end()) {
    return calibrated.model[weight].detach().abs().amax().reshape({1}) / float_channel;
  }
  const Quantizer& quantizer = found->second;
  const QuantizerSpec& spec = quantizer.spec;
  const Tensor scale = quantizer.scale.detach();
  if (spec.format->is_uniform && spec.scaling.granularity != Granularity::block) return scale.clone();
  const Tensor factor = quantizer.factor.defined() ? quantizer.factor : at::ones({1}, scale.options());
  const Tensor per_channel =
      spec.scaling.granularity == Granularity::block ? scale.view({calibrated.model[weight].size(0), -1}).mean(1) : scale;
  return per_channel * factor * spec.format->mean_step;
}

/// Scales of rows, tensors and channels in float32. Others follow from the values, or can take few values only.
bool has_free_scales(const Scaling& scaling) {
  return scaling.stored == ScaleFormat::float32 && !(scaling.granularity == Granularity::block && scaling.from_values);
}

Trainable trainable(const std::string& name, Tensor& tensor, const Tensor& rate) {
  tensor.requires_grad_(true);
  return {name, tensor, rate, AdamMoments::zeros_like(tensor)};
}

Trainable trainable_bias(Student& student, const Student& calibrated, const Product& product, double rate) {
  const Tensor rates = channel_steps(calibrated, product.weight) * rate;
  return trainable("student/" + product.bias, student.model.parameters.at(product.bias), rates);
}

}  // namespace

std::vector<Trainable> trainable_weights(Student& student, const Student& calibrated, const std::vector<Product>& products,
                                         double rate) {
  std::vector<Trainable> result;
  for (const Product& product : products) {
    const std::string& name = student.model.plan->name(product.weight);
    Tensor& weight = student.model.parameters.at(name);
    std::vector<int64_t> broadcast(static_cast<size_t>(weight.dim()), 1);
    broadcast[0] = -1;
    const Tensor rates = (channel_steps(calibrated, product.weight) * rate).reshape(broadcast);
    result.push_back(trainable("student/" + name, weight, rates));
    result.push_back(trainable_bias(student, calibrated, product, rate));
  }
  return result;
}

std::vector<Trainable> trainable_biases(Student& student, const Student& calibrated, const std::vector<Product>& products,
                                        double rate) {
  std::vector<Trainable> result;
  for (const Product& product : products) result.push_back(trainable_bias(student, calibrated, product, rate));
  return result;
}

std::vector<Trainable> trainable_factors(Student& student, const Student& calibrated, const std::vector<Product>& products,
                                         double rate) {
  std::vector<Trainable> result;
  for (const Product& product : products) {
    const auto found = student.quantizers.find(product.weight);
    if (found == student.quantizers.end() || !found->second.left.defined()) continue;
    const Quantizer& before = calibrated.quantizers.at(product.weight);
    const Tensor steps = channel_steps(calibrated, product.weight) * rate;
    // An element of the product is a sum over the rank, of changes in one factor times what stands in the other.
    const auto length = [](const Tensor& factor, int64_t across) {
      return at::linalg_vector_norm(factor.detach(), 2).div(std::sqrt(static_cast<double>(across))).clamp_min(smallest_length);
    };
    const std::string name = "quantizers/" + student.model.plan->name(product.weight);
    result.push_back(
        trainable(name + "/left", found->second.left, steps.view({-1, 1}) / length(before.right, before.right.size(1))));
    result.push_back(trainable(name + "/right", found->second.right, steps.mean() / length(before.left, before.left.size(0))));
  }
  return result;
}

std::vector<Trainable> trainable_scales(Student& student, const Student& calibrated, const std::vector<NodeId>& nodes,
                                        double rate) {
  std::vector<Trainable> result;
  if (rate == 0.0) return result;
  for (const NodeId node : nodes) {
    const auto quantizer = student.quantizers.find(node);
    if (quantizer == student.quantizers.end() || !has_free_scales(quantizer->second.spec.scaling)) continue;
    const Tensor before = calibrated.quantizers.at(node).scale.detach();
    result.push_back(
        trainable("quantizers/" + student.model.plan->name(node) + "/scale", quantizer->second.scale, before * rate));
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
