#include "quantization/student.h"

#include "base/error.h"

namespace eidolon {
namespace {

std::string model_key(const std::string& parameter) {
  return "student/" + parameter;
}

std::string quantizer_key(NodeId node, const char* part) {
  return "quantizers/" + node_name(node) + "/" + part;
}

std::string text(at::IntArrayRef shape) {
  std::string result = "[";
  for (size_t i = 0; i < shape.size(); ++i) result += (i ? ", " : "") + std::to_string(shape[i]);
  return result + "]";
}

Tensor take(const TensorMap& tensors, const std::string& name, at::IntArrayRef shape) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw Fault("a stored student lacks '" + name + "'; remove the file and run again");
  if (found->second.sizes() != shape) {
    throw Fault("a stored student has '" + name + "' of shape " + text(found->second.sizes()) + " instead of " + text(shape) +
                "; remove the file and run again");
  }
  return found->second.to(at::kFloat);
}

int64_t scales_of(NodeId node, const QuantizerSpec& spec, const Architecture& architecture) {
  if (spec.channel_axis < 0) return 1;
  if (!is_weight(node.kind))
    throw Fault("the scheme gives node '" + node_name(node) + "' channels, but only weights have them");
  const auto shapes = parameter_shapes(architecture);
  const auto found = shapes.find(parameter_of(node));
  if (found == shapes.end() || spec.channel_axis >= static_cast<int64_t>(found->second.size())) {
    throw Fault("the scheme's node '" + node_name(node) + "' does not fit the model's architecture");
  }
  return found->second[static_cast<size_t>(spec.channel_axis)];
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

Tap quantizing_tap(const Student& student) {
  return [&student](NodeId node, const Tensor& tensor) {
    const auto found = student.quantizers.find(node);
    return found == student.quantizers.end() ? tensor : fake_quantize(tensor, found->second);
  };
}

Student with_rounded_weights(const Student& student) {
  const at::NoGradGuard no_gradients;
  Student rounded = student;
  for (const auto& [node, quantizer] : student.quantizers) {
    if (is_weight(node.kind))
      rounded.model.parameters[parameter_of(node)] = fake_quantize(student.model[parameter_of(node)], quantizer);
  }
  return rounded;
}

Tap activation_tap(const Student& student) {
  return [all = quantizing_tap(student)](NodeId node, const Tensor& tensor) {
    return is_weight(node.kind) ? tensor : all(node, tensor);
  };
}

std::optional<std::string> unsound_tensor(const Student& student) {
  for (const auto& [name, parameter] : student.model.parameters) {
    if (!all_finite(parameter)) return model_key(name);
  }
  for (const auto& [node, quantizer] : student.quantizers) {
    const Tensor& steps = quantizer.octave_steps;
    if (!all_positive(quantizer.scale)) return quantizer_key(node, "scale");
    if (!all_integers(quantizer.zero_point)) return quantizer_key(node, "zero_point");
    if (steps.defined() && !all_positive(steps)) return quantizer_key(node, "octave_steps");
  }
  return std::nullopt;
}

TensorMap student_tensors(const Student& student) {
  TensorMap tensors;
  for (const auto& [name, parameter] : student.model.parameters) tensors[model_key(name)] = parameter.detach();
  for (const auto& [node, quantizer] : student.quantizers) {
    tensors[quantizer_key(node, "scale")] = quantizer.scale.detach();
    tensors[quantizer_key(node, "zero_point")] = quantizer.zero_point.detach();
    if (quantizer.octave_steps.defined()) tensors[quantizer_key(node, "octave_steps")] = quantizer.octave_steps.detach();
  }
  return tensors;
}

Student student_from_tensors(const TensorMap& tensors, const Scheme& scheme, const Architecture& architecture) {
  Student student{{architecture, {}}, {}};
  for (const auto& [name, shape] : parameter_shapes(architecture)) {
    student.model.parameters[name] = take(tensors, model_key(name), shape);
  }
  for (const auto& [node, spec] : scheme) {
    const int64_t count = scales_of(node, spec, architecture);
    const auto part = [&](const char* name) { return take(tensors, quantizer_key(node, name), {count}); };
    student.quantizers[node] = {spec, part("scale"), part("zero_point"),
                                spec.kind == QuantizerKind::companded ? part("octave_steps") : Tensor()};
  }
  if (const auto name = unsound_tensor(student)) {
    throw Fault(
        "a stored student has a number that is not finite, a scale or steps that are not positive, or a zero point that "
        "is no integer in '" +
        *name + "'; remove the file and run again");
  }
  return student;
}

}  // namespace eidolon
