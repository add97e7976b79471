#include "quantization/student.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/shape_text.h"

namespace eidolon {
namespace {

std::string model_key(const std::string& parameter) {
  return "student/" + parameter;
}

std::string quantizer_key(const std::string& node, const char* part) {
  return "quantizers/" + node + "/" + part;
}

Tensor take(const TensorMap& tensors, const std::string& name, at::IntArrayRef shape) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw Fault("a stored student lacks '" + name + "'; remove the file and run again");
  if (found->second.sizes() != shape) {
    throw Fault("a stored student has '" + name + "' of shape " + shape_text(found->second.sizes()) + " instead of " +
                shape_text(shape) + "; remove the file and run again");
  }
  return found->second.to(at::kFloat);
}

int64_t scales_of(NodeId node, const QuantizerSpec& spec, const Plan& plan) {
  const Scaling& scaling = spec.scaling;
  const bool one =
      scaling.from_values || (scaling.granularity != Granularity::channel && scaling.granularity != Granularity::block);
  if (one) return 1;
  if (!plan.is_weight(node))
    throw Fault("the scheme gives node '" + plan.name(node) +
                "' several scales, but only weights have them; remove the file and run again");
  const std::vector<int64_t>& shape = plan.parameters.at(plan.name(node));
  if (scaling.axis < 0 || scaling.axis >= static_cast<int64_t>(shape.size())) {
    throw Fault("the scheme's node '" + plan.name(node) + "' does not fit the network; remove the file and run again");
  }
  return scale_count(scaling, shape);
}

/// The low-rank factors of a weight, which have one rank.
void take_factors(const TensorMap& tensors, const Plan& plan, NodeId node, Quantizer& quantizer) {
  const std::string &name = plan.name(node), left = quantizer_key(name, "left");
  const std::vector<int64_t>& shape = plan.parameters.at(name);
  const auto found = tensors.find(left);
  const int64_t rank = found != tensors.end() && found->second.dim() == 2 ? found->second.size(1) : 1;
  quantizer.left = take(tensors, left, {shape[0], rank});
  quantizer.right = take(tensors, quantizer_key(name, "right"), {rank, c10::multiply_integers(shape) / shape[0]});
}

bool all_finite(const Tensor& values) {
  return values.isfinite().all().item<bool>();
}

bool all_positive(const Tensor& values) {
  return at::logical_and(values > 0, values.isfinite()).all().item<bool>();
}

bool all_integers(const Tensor& values) {
  return all_finite(values) && at::eq(values, values.round()).all().item<bool>();
}

/// Of the product that has the node for its input or weight; 0: of none.
int64_t inputs_of(const Plan& plan, NodeId node) {
  for (const Product& product : plan.products) {
    const bool linear = !product.convolution && (product.input == node || product.weight == node);
    if (linear) return plan.parameters.at(plan.name(product.weight)).at(1);
  }
  return 0;
}

/// Ascending integers from 0 to below `inputs`.
bool are_channels(const Tensor& channels, int64_t inputs) {
  if (channels.dim() != 1 || channels.numel() == 0 || !all_integers(channels)) return false;
  const bool inside = channels.min().item<double>() >= 0 && channels.max().item<double>() < static_cast<double>(inputs);
  return inside && at::gt(channels.diff(), 0).all().item<bool>();
}

}  // namespace

Student Student::to(at::Device device) const {
  Student moved{model.to(device, at::kFloat), {}};
  for (const auto& [node, quantizer] : quantizers) {
    moved.quantizers[node] = quantizer.with([&](const Tensor& tensor) { return tensor.to(device); });
  }
  return moved;
}

Student Student::clone() const {
  Student copy{model.clone(), {}};
  for (const auto& [node, quantizer] : quantizers) {
    copy.quantizers[node] = quantizer.with([](const Tensor& tensor) { return tensor.detach().clone(); });
  }
  return copy;
}

Student uncalibrated(const Network& teacher, const Scheme& scheme) {
  Student student{.model = teacher, .quantizers = {}};
  for (const auto& [node, spec] : scheme) {
    const Tensor ones = at::ones({scales_of(node, spec, *teacher.plan)});
    Quantizer& quantizer = student.quantizers[node];
    quantizer = {.spec = spec, .scale = ones, .zero_point = at::zeros_like(ones)};
    if (spec.format->is_companded) quantizer.companding = ones;
    if (spec.scaling.stored == ScaleFormat::e4m3) quantizer.factor = at::ones({1});
    if (spec.branch_bits > 0) {
      const Tensor weight = teacher[node].flatten(1);
      quantizer.left = at::zeros({weight.size(0), 1});
      quantizer.right = at::zeros({1, weight.size(1)});
    }
  }
  return student;
}

Tap quantizing_tap(const Student& student) {
  return [&student](NodeId node, const Tensor& tensor) {
    const auto found = student.quantizers.find(node);
    return found == student.quantizers.end() ? tensor : fake_quantize(tensor, found->second);
  };
}

Student with_rounded_weights(const Student& student) {
  const at::NoGradGuard no_gradients;
  Student rounded = student;
  const Plan& plan = *student.model.plan;
  for (const auto& [node, quantizer] : student.quantizers) {
    if (plan.is_weight(node)) rounded.model.parameters[plan.name(node)] = fake_quantize(student.model[node], quantizer);
  }
  return rounded;
}

Tap activation_tap(const Student& student) {
  return [all = quantizing_tap(student), plan = student.model.plan](NodeId node, const Tensor& tensor) {
    return plan->is_weight(node) ? tensor : all(node, tensor);
  };
}

std::optional<std::string> unsound_tensor(const Student& student) {
  for (const auto& [name, parameter] : student.model.parameters) {
    if (!all_finite(parameter)) return model_key(name);
  }
  for (const auto& [node, quantizer] : student.quantizers) {
    const std::string& name = student.model.plan->name(node);
    if (!all_positive(quantizer.scale)) return quantizer_key(name, "scale");
    if (!all_integers(quantizer.zero_point)) return quantizer_key(name, "zero_point");
    if (quantizer.companding.defined() && !all_positive(quantizer.companding)) return quantizer_key(name, "companding");
    if (quantizer.factor.defined() && !all_positive(quantizer.factor)) return quantizer_key(name, "factor");
    if (quantizer.float_channels.defined() && !are_channels(quantizer.float_channels, inputs_of(*student.model.plan, node)))
      return quantizer_key(name, "float_channels");
    if (quantizer.left.defined() && !all_finite(quantizer.left)) return quantizer_key(name, "left");
    if (quantizer.right.defined() && !all_finite(quantizer.right)) return quantizer_key(name, "right");
  }
  return std::nullopt;
}

TensorMap student_tensors(const Student& student) {
  TensorMap tensors;
  for (const auto& [name, parameter] : student.model.parameters) tensors[model_key(name)] = parameter.detach();
  for (const auto& [node, quantizer] : student.quantizers) {
    const auto add = [&, &name = student.model.plan->name(node)](const char* part, const Tensor& tensor) {
      if (tensor.defined()) tensors[quantizer_key(name, part)] = tensor.detach();
    };
    add("scale", quantizer.scale);
    add("zero_point", quantizer.zero_point);
    add("companding", quantizer.companding);
    add("factor", quantizer.factor);
    add("float_channels", quantizer.float_channels);
    add("left", quantizer.left);
    add("right", quantizer.right);
  }
  return tensors;
}

Student student_from_tensors(const TensorMap& tensors, const Scheme& scheme, std::shared_ptr<const Plan> plan) {
  Student student{.model = {std::move(plan), {}}, .quantizers = {}};
  const Plan& known = *student.model.plan;
  for (const auto& [name, shape] : known.parameters) student.model.parameters[name] = take(tensors, model_key(name), shape);
  for (const auto& [node, spec] : scheme) {
    const int64_t count = scales_of(node, spec, known);
    const auto part = [&, &name = known.name(node)](const char* what, int64_t size) {
      return take(tensors, quantizer_key(name, what), {size});
    };
    Quantizer& quantizer = student.quantizers[node];
    quantizer = {.spec = spec, .scale = part("scale", count), .zero_point = part("zero_point", count)};
    if (spec.format->is_companded) quantizer.companding = part("companding", count);
    if (spec.scaling.stored == ScaleFormat::e4m3) quantizer.factor = part("factor", 1);
    if (const auto channels = tensors.find(quantizer_key(known.name(node), "float_channels")); channels != tensors.end())
      quantizer.float_channels = channels->second.to(at::kFloat);
    if (spec.branch_bits > 0) take_factors(tensors, known, node, quantizer);
  }
  if (const auto name = unsound_tensor(student)) {
    throw Fault(
        "a stored student has a number that is not finite, a scale or mu-law parameter that is not positive, or a zero point "
        "that is no integer in '" +
        *name + "'; remove the file and run again");
  }
  return student;
}

}  // namespace eidolon
