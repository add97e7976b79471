// write_onnx_examples FOLDER: writes the small models, for onnx_package_test.py.
#include "exporting/onnx_writer.h"
#include "tests/exporting/onnx_examples.h"

int main(int count, char** words) {
  if (count != 2) return 64;
  namespace onnx = eidolon::onnx;
  const std::filesystem::path folder = words[1];
  onnx::write_model(onnx::testing::quantized_model(), folder / "quantized.onnx");
  onnx::write_model(onnx::testing::types_model(), folder / "types.onnx");
  const onnx::ExternalData external{.above = 0, .smallest = 0};
  onnx::write_model(onnx::testing::quantized_model(), folder / "quantized_beside.onnx", external);
  onnx::write_model(onnx::testing::types_model(), folder / "types_beside.onnx", external);
  return 0;
}
