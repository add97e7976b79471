#include "exporting/element_type.h"

#include <map>
#include <string>

namespace eidolon {

const ElementType* element_type(const Format& format) {
  static const std::map<std::string, ElementType> types{
      {formats::e4m3.name, {.onnx = onnx::Type::float8e4m3fn, .opset = 21, .torch = at::kFloat8_e4m3fn}},
      {formats::e5m2.name, {.onnx = onnx::Type::float8e5m2, .opset = 21, .torch = at::kFloat8_e5m2}},
      {formats::e2m1.name, {.onnx = onnx::Type::float4e2m1, .opset = 23, .torch = at::kByte}},
  };
  const auto found = types.find(format.name);
  return found == types.end() ? nullptr : &found->second;
}

}  // namespace eidolon
