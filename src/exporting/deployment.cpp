#include "exporting/deployment.h"

#include <cstdint>
#include <string>

#include "base/pulse.h"
#include "quantization/low_rank.h"

namespace eidolon {
namespace {

/// Codes 0 .. 2^b - 1 become -2^(b-1) .. 2^(b-1) - 1, which runtimes multiply.
int64_t signed_offset(const QuantizerSpec& spec) {
  const bool is_unsigned = spec.format->fixed_bits == 0 && !spec.symmetric;
  return is_unsigned ? int64_t{1} << (spec.bits - 1) : 0;
}

DeployedWeight deployed(const Tensor& weight, const Quantizer& quantizer) {
  const bool pattern = quantizer.spec.format->fixed_bits > 0;
  const int64_t offset = signed_offset(quantizer.spec);
  const Tensor zero_point = (quantizer.zero_point - static_cast<double>(offset)).to(at::kChar);
  const bool has_zero_point = quantizer.spec.format->has_zero_point && zero_point.any().item<bool>();
  DeployedWeight result{.spec = quantizer.spec,
                        .codes = (quantize_to_codes(weight, quantizer) - offset).to(pattern ? at::kByte : at::kChar),
                        .scale = quantizer.scale,
                        .zero_point = has_zero_point ? zero_point : Tensor(),
                        .factor = quantizer.factor,
                        .float_channels = {},
                        .float_columns = {}};
  if (quantizer.left.defined()) {
    result.left = stored_factor(quantizer.left, quantizer.spec.branch_bits);
    result.right = stored_factor(quantizer.right, quantizer.spec.branch_bits);
  }
  if (quantizer.spec.scaling.granularity == Granularity::block) {
    result.scale = result.scale.view({weight.size(0), -1});
    if (has_zero_point) result.zero_point = result.zero_point.view({weight.size(0), -1});
  }
  if (quantizer.float_channels.defined()) {
    result.float_channels = quantizer.float_channels.to(at::kLong);
    result.float_columns = weight.index_select(1, result.float_channels);
  }
  return result;
}

/// The quantizer of an input whose zero point can become a shift.
bool can_be_shifted(const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  return spec.format->is_uniform && !spec.symmetric && spec.scaling.granularity == Granularity::tensor;
}

/// The attention whose mixed values this product multiplies, if its probabilities and values stay float; otherwise null.
const Attention* attention_before(const Deployment& deployment, size_t product) {
  for (const Attention& attention : deployment.plan->attention) {
    if (attention.proj != product) continue;
    if (!attention.inner_norm.empty()) return nullptr;
    const auto& rounded = deployment.activations;
    return rounded.contains(attention.probabilities) || rounded.contains(attention.value) ? nullptr : &attention;
  }
  return nullptr;
}

/// Takes c from the product's input in what stands in front of it. False if nothing there can.
bool fold_in_front(Deployment& deployment, size_t index, double shift) {
  const Plan& plan = *deployment.plan;
  const Product& product = plan.products[index];
  if (plan.is_only_reader_of_norm(product)) {
    Tensor& bias = deployment.parameters.at(product.norm + ".bias");
    bias = bias - shift;
    return true;
  }
  const Attention* attention = attention_before(deployment, index);
  if (attention == nullptr) return false;
  const Product& joint = plan.products[attention->qkv];
  const auto shifted = [shift](const Tensor& bias) {
    const int64_t width = bias.size(0) / 3;
    return at::cat({bias.narrow(0, 0, 2 * width), bias.narrow(0, 2 * width, width) - shift});
  };
  Tensor& bias = deployment.parameters.at(joint.bias);
  bias = shifted(bias);
  // What pads a window is among the values that the probabilities weigh.
  if (const auto border = deployment.borders.find(joint.weight); border != deployment.borders.end()) {
    border->second = shifted(border->second);
  }
  return true;
}

/// The weight that multiplies, with all that stands beside its integers.
Tensor multiplied(const Deployment& deployment, const Product& product) {
  const auto found = deployment.weights.find(product.weight);
  if (found == deployment.weights.end()) return deployment.parameters.at(deployment.plan->name(product.weight)).flatten(1);
  return whole_weight(found->second).flatten(1);
}

void shift_input(Deployment& deployment, size_t index) {
  const Product& product = deployment.plan->products[index];
  const auto found = deployment.activations.find(product.input);
  if (found == deployment.activations.end() || !can_be_shifted(found->second)) return;
  Quantizer& quantizer = found->second;
  const double middle = static_cast<double>(int64_t{1} << (quantizer.spec.bits - 1));
  const double shift = (middle - quantizer.zero_point.item<double>()) * quantizer.scale.item<double>();
  quantizer.spec.symmetric = true;
  quantizer.zero_point = at::zeros_like(quantizer.zero_point);
  if (shift == 0) return;
  if (!fold_in_front(deployment, index, shift)) deployment.shifts[product.input] = shift;
  Tensor& bias = deployment.parameters.at(product.bias);
  const Tensor through = multiplied(deployment, product).to(at::kDouble).sum(1) * shift;
  bias = (bias.to(at::kDouble) + through).to(at::kFloat);
}

}  // namespace

Deployment deploy(const Student& student) {
  const at::NoGradGuard no_gradients;
  const Student own = student.to(at::kCPU);
  Deployment deployment{.plan = own.model.plan, .weights = {}, .activations = {}, .shifts = {}, .parameters = {}};
  const Plan& plan = *deployment.plan;
  for (const auto& [name, parameter] : own.model.parameters) deployment.parameters[name] = parameter.detach();
  for (const auto& [node, quantizer] : own.quantizers) {
    if (!plan.is_weight(node)) {
      deployment.activations[node] = quantizer;
      continue;
    }
    deployment.weights[node] = deployed(own.model[node], quantizer);
    deployment.parameters.erase(plan.name(node));
    pulse();
  }
  for (const Attention& attention : plan.attention) {
    const Product& joint = plan.products[attention.qkv];
    const bool is_padded = attention.windows.side > 0 && attention.grid % attention.windows.side != 0;
    if (is_padded) deployment.borders[joint.weight] = deployment.parameters.at(joint.bias).clone();
  }
  return deployment;
}

Deployment with_shifts(Deployment deployment, ShiftedInputs inputs) {
  const at::NoGradGuard no_gradients;
  for (size_t index = 0; index < deployment.plan->products.size(); ++index) {
    const bool is_convolution = deployment.plan->products[index].convolution.has_value();
    if (!is_convolution || inputs == ShiftedInputs::all) shift_input(deployment, index);
  }
  return deployment;
}

Tensor dequantized(const DeployedWeight& weight) {
  Quantizer quantizer{.spec = weight.spec,
                      .scale = weight.scale.flatten(),
                      .zero_point = at::zeros_like(weight.scale).flatten(),
                      .factor = weight.factor};
  quantizer.spec.symmetric = true;  // the codes are signed
  if (weight.zero_point.defined()) quantizer.zero_point = weight.zero_point.flatten().to(at::kFloat);
  return dequantize(weight.codes.to(at::kLong), quantizer);
}

Tensor whole_weight(const DeployedWeight& weight) {
  Tensor values = dequantized(weight);
  if (weight.float_channels.defined()) values = values.index_copy(1, weight.float_channels, weight.float_columns);
  return weight.left.defined() ? values + at::mm(weight.left, weight.right).view(values.sizes()) : values;
}

}  // namespace eidolon
