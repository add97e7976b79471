#include "exporting/onnx_values.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "base/error.h"
#include "exporting/element_type.h"
#include "exporting/packed.h"

namespace eidolon::onnx {
namespace {

constexpr int64_t int4_bits = 4, int8_bits = 8;

std::string free_name(const Model& model, const std::string& name) {
  if (!model.names.contains(name)) return name;
  int copy = 2;
  while (model.names.contains(name + "_" + std::to_string(copy))) ++copy;
  return name + "_" + std::to_string(copy);
}

std::string add(Model& model, const std::string& name, const TensorData& data) {
  return add_initializer(model, free_name(model, name), data);
}

std::string cast(Model& model, const std::string& prefix, const std::string& x, Type type) {
  return op(model, prefix, "Cast", {x}, {{"to", static_cast<int64_t>(type)}});
}

std::string scalar(Model& model, const std::string& name, double value) {
  return constant(model, name, at::scalar_tensor(value, at::kFloat));
}

/// A weight's scales as they are stored, and from there in float32.
std::string scales(Model& model, const std::string& name, const DeployedWeight& weight) {
  const Tensor stored = stored_scales(weight).contiguous();
  const auto keep = [&](const TensorData& data) { return add(model, name + ".scale", data); };
  switch (weight.spec.scaling.stored) {
    case ScaleFormat::float32:
      return keep(from_tensor(stored));
    case ScaleFormat::float16:
      return cast(model, name, keep(from_tensor(stored)), Type::float32);
    case ScaleFormat::e8m0:
      return cast(model, name, keep(from_bits(stored, Type::float8e8m0)), Type::float32);
    case ScaleFormat::e4m3: {
      const std::string codes = keep(from_bits(stored.view(at::kByte), Type::float8e4m3fn));
      return op(model, name, "DequantizeLinear", {codes, constant(model, name + ".factor", weight.factor.reshape({}))});
    }
  }
  throw Fault("'" + name + "' has scales of an unknown kind");
}

[[noreturn]] void refuse(const std::string& node, const QuantizerSpec& spec, const std::string& remedy) {
  throw BadInput("ONNX has no operators for '" + node + "', which is " + spec.format->name + " with a scale per " +
                 name_of(spec.scaling.granularity) + "; " + remedy);
}

/// The type of a floating-point format's codes.
Type float_type(const std::string& node, const QuantizerSpec& spec) {
  const ElementType* type = element_type(*spec.format);
  if (type == nullptr) refuse(node, spec, "choose a recipe, or \"uniform\" or \"companded\"");
  return type->onnx;
}

TensorData element_data(const std::string& node, const Tensor& codes, const QuantizerSpec& spec) {
  if (spec.format->fixed_bits == 0) {
    return spec.bits <= int4_bits ? packed_nibbles(codes, Type::int4) : from_tensor(codes);
  }
  const Type type = float_type(node, spec);
  return bits_of(type) == int4_bits ? packed_nibbles(codes, type) : from_bits(codes, type);
}

/// Even steps of one scale. Integers of fewer bits than their carrier are clipped first.
std::string rounded_integers(Model& model, const std::string& node, const std::string& x, const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  const double scale = quantizer.scale.item<double>(), zero_point = quantizer.zero_point.item<double>();
  std::string clipped = x;
  if (spec.bits < int8_bits) {
    const double low = (static_cast<double>(spec.lowest()) - zero_point) * scale;
    const double high = (static_cast<double>(spec.highest()) - zero_point) * scale;
    clipped = op(model, node, "Clip", {x, scalar(model, node + ".low", low), scalar(model, node + ".high", high)});
  }
  const std::string step = constant(model, node + ".scale", quantizer.scale.reshape({}));
  const at::ScalarType carrier = spec.symmetric ? at::kChar : at::kByte;
  const std::string zero = add(model, node + ".zero_point", from_tensor(at::scalar_tensor(zero_point, carrier)));
  const std::string codes = op(model, node, "QuantizeLinear", {clipped, step, zero});
  return op(model, node, "DequantizeLinear", {codes, step, zero});
}

std::string rounded_float8(Model& model, const std::string& node, const std::string& x, const Quantizer& quantizer) {
  const std::string step = constant(model, node + ".scale", quantizer.scale.reshape({}));
  const Tensor none = at::zeros({}, at::kByte);
  const std::string zero = add(model, node + ".zero_point", from_bits(none, float_type(node, quantizer.spec)));
  const std::string codes = op(model, node, "QuantizeLinear", {x, step, zero});
  return op(model, node, "DequantizeLinear", {codes, step, zero});
}

/// sgn(i) s (2^(|i| / m) - 1) with i = round(sgn(x) m log2(1 + |x| / s)): float operators, for inspection.
std::string rounded_companded(Model& model, const std::string& node, const std::string& x, const Quantizer& quantizer) {
  const auto next = [&](const std::string& name, std::vector<std::string> inputs) {
    return op(model, node, name, std::move(inputs));
  };
  const double scale = quantizer.scale.item<double>(), zero_point = quantizer.zero_point.item<double>();
  const double per_octave = quantizer.companding.item<double>();
  const auto number = [&](const char* part, double value) { return scalar(model, node + part, value); };
  const std::string step = number(".scale", scale), one = number(".one", 1);
  const std::string to_index = number(".per_nat", per_octave / std::numbers::ln2);
  const std::string to_nats = number(".nats", std::numbers::ln2 / per_octave);
  const std::string low = number(".low", static_cast<double>(quantizer.spec.lowest()) - zero_point);
  const std::string high = number(".high", static_cast<double>(quantizer.spec.highest()) - zero_point);
  const std::string magnitude = next("Log", {next("Add", {next("Div", {next("Abs", {x}), step}), one})});
  const std::string signed_index = next("Mul", {next("Mul", {magnitude, to_index}), next("Sign", {x})});
  const std::string index = next("Clip", {next("Round", {signed_index}), low, high});
  const std::string growth = next("Sub", {next("Exp", {next("Mul", {next("Abs", {index}), to_nats})}), one});
  return next("Mul", {next("Mul", {growth, step}), next("Sign", {index})});
}

/// 2^(floor(log2(max)) - floor(log2(highest))). The cast rounds to a power of two: down, as it is told, but to the nearest
/// in OpenVINO 2026.4. A power above the number is halved, so that both give the same.
std::string power_of_two_scale(Model& model, const std::string& node, const std::string& largest, double highest) {
  // The scale of zeros is 2^-126, the smallest normal number, as in block_scales().
  const double smallest = std::exp2(-126 + std::floor(std::log2(highest)));
  const std::string positive = op(model, node, "Max", {largest, scalar(model, node + ".smallest", smallest)});
  const std::string code = op(model, node, "Cast", {positive},
                              {{"to", static_cast<int64_t>(Type::float8e8m0)}, {"round_mode", std::string("down")}});
  const std::string near = cast(model, node, code, Type::float32);
  const std::string half =
      op(model, node, "Mul", {near, scalar(model, node + ".half", 0.5)});  // NOLINT(readability-magic-numbers)
  const std::string power = op(model, node, "Where", {op(model, node, "Greater", {near, positive}), half, near});
  const std::string down = scalar(model, node + ".down", std::exp2(-std::floor(std::log2(highest))));
  return op(model, node, "Mul", {power, down});
}

/// The nearest E4M3 number, in float32: the cast that follows has nothing left to round. OpenVINO 2026.4 casts by way of
/// float16 and rounds twice. Veltkamp's splitting (Dekker 1971, doi:10.1007/BF01397083) keeps four significant bits; below
/// 2^-6 E4M3 has steps of 2^-9.
std::string rounded_to_e4m3(Model& model, const std::string& node, const std::string& x) {
  const auto next = [&](const std::string& name, std::vector<std::string> inputs) {
    return op(model, node, name, std::move(inputs));
  };
  const auto number = [&](const char* part, double value) { return scalar(model, node + part, value); };
  const std::string large = next("Mul", {x, number(".splitter", 0x1p20 + 1)});
  const std::string normal = next("Sub", {large, next("Sub", {large, x})});
  const std::string steps = next("Round", {next("Mul", {x, number(".steps", 0x1p9)})});
  const std::string small = next("Mul", {steps, number(".step", 0x1p-9)});
  return next("Where", {next("Less", {x, number(".normal", 0x1p-6)}), small, normal});
}

/// The nearest E4M3 number to max / (highest factor), at least the smallest one, times the factor. Saturation is spelt out,
/// since some runtimes make NaN of what exceeds the largest E4M3 value.
std::string e4m3_scale(Model& model, const std::string& node, const std::string& largest, double highest, double factor) {
  const std::string wanted = op(model, node, "Div", {largest, scalar(model, node + ".reach", factor * highest)});
  const std::string most = scalar(model, node + ".most", formats::e4m3.highest_value);
  const std::string code = rounded_to_e4m3(model, node, op(model, node, "Min", {wanted, most}));
  const std::string codes = cast(model, node, code, Type::float8e4m3fn);
  const std::string nearest = cast(model, node, codes, Type::float32);
  const std::string stored = op(model, node, "Max", {nearest, scalar(model, node + ".smallest", 0x1p-9)});
  return op(model, node, "Mul", {stored, scalar(model, node + ".factor", factor)});
}

/// Blocks along the last axis whose scale follows from the values: block_scales() in ONNX's operators.
std::string rounded_in_blocks(Model& model, const Rounded& value, const Quantizer& quantizer) {
  const auto& [node, x, channels] = value;
  const QuantizerSpec& spec = quantizer.spec;
  const double highest = spec.format->highest_value;
  const std::string blocks = op(model, node, "Reshape", {x, constant(model, {-1, spec.scaling.block})});
  const std::string largest =
      op(model, node, "ReduceMax", {op(model, node, "Abs", {blocks}), constant(model, {-1})}, {{"keepdims", int64_t{1}}});
  const std::string scale = spec.scaling.stored == ScaleFormat::e8m0
                                ? power_of_two_scale(model, node, largest, highest)
                                : e4m3_scale(model, node, largest, highest, quantizer.factor.item<double>());
  const std::string clipped = op(model, node, "Clip",
                                 {op(model, node, "Div", {blocks, scale}), scalar(model, node + ".low", -highest),
                                  scalar(model, node + ".high", highest)});
  const std::string elements = cast(model, node, clipped, float_type(node, spec));
  const std::string values = op(model, node, "Mul", {cast(model, node, elements, Type::float32), scale});
  return op(model, node, "Reshape", {values, op(model, node, "Shape", {x})});
}

std::string rounded_values(Model& model, const Rounded& value, const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  const auto& [node, x, channels] = value;
  if (spec.scaling.granularity == Granularity::block) {
    const bool fits = spec.scaling.axis == -1 && channels % spec.scaling.block == 0;
    if (!fits) refuse(node, spec, "its axis does not divide into blocks; choose a recipe, or another format for it");
    return rounded_in_blocks(model, value, quantizer);
  }
  if (spec.format->is_uniform) return rounded_integers(model, node, x, quantizer);
  if (spec.format->is_companded) return rounded_companded(model, node, x, quantizer);
  return rounded_float8(model, node, x, quantizer);
}

}  // namespace

std::string constant(Model& model, const std::vector<int64_t>& values) {
  std::string name = "shape";
  for (const int64_t value : values) name.append("_").append(std::to_string(value));
  if (model.names.contains(name)) return name;
  return add_initializer(model, name, from_tensor(at::tensor(values, at::kLong)));
}

std::string constant(Model& model, const std::string& name, const Tensor& values) {
  return add(model, name, from_tensor(values.to(at::kFloat).contiguous()));
}

std::string op(Model& model, const std::string& prefix, const std::string& op, std::vector<std::string> inputs,
               std::vector<Attribute> attributes) {
  return add_node(model, prefix, {.op = op, .inputs = std::move(inputs), .attributes = std::move(attributes)});
}

std::string dequantized_weight(Model& model, const std::string& name, const DeployedWeight& weight) {
  const Scaling& scaling = weight.spec.scaling;
  const Tensor codes = weight.codes.flatten(1).t().contiguous();
  const std::string elements = add(model, name, element_data(name, codes, weight.spec));
  const bool in_blocks = scaling.granularity == Granularity::block;
  DeployedWeight transposed = weight;
  if (in_blocks) transposed.scale = weight.scale.t();
  std::vector<std::string> inputs{elements, scales(model, name, transposed)};
  if (weight.zero_point.defined()) {
    const Tensor zero_point = (in_blocks ? weight.zero_point.t() : weight.zero_point).contiguous();
    inputs.push_back(add(model, name + ".zero_point", element_data(name, zero_point, weight.spec)));
  }
  std::vector<Attribute> attributes{{"axis", int64_t{in_blocks ? 0 : 1}}};
  if (in_blocks) attributes.push_back({"block_size", scaling.block});
  return op(model, name, "DequantizeLinear", std::move(inputs), std::move(attributes));
}

std::string rounded(Model& model, const Rounded& value, const Quantizer& quantizer) {
  if (quantizer.spec.scaling.granularity != Granularity::row) return rounded_values(model, value, quantizer);
  const auto& [node, x, channels] = value;
  const std::string axes = constant(model, {-1});
  const std::string largest = op(model, node, "ReduceMax", {x, axes}, {{"keepdims", int64_t{1}}});
  const std::string units = op(model, node, "Div", {x, largest});
  return op(model, node, "Mul", {rounded_values(model, {node, units, channels}, quantizer), largest});
}

}  // namespace eidolon::onnx
