// What TensorRT's parser asks of a graph with QuantizeLinear and DequantizeLinear, checked without TensorRT.
//
// From the documentation of TensorRT 10 ("Working with Quantized Types") and the parser's source (onnx/onnx-tensorrt). Nothing
// here was run on TensorRT.
#pragma once

#include <string>
#include <vector>

#include "exporting/onnx_model.h"

namespace eidolon {

/// One sentence per violation, each naming its node; none for a graph that obeys:
///  zero points are 0, scales are positive and finite;
///  integers are int8 or int4, floating-point codes E4M3, and no tensor is uint8;
///  int4 stands in blocks of 64 or 128;
///  activations have one scale, and what is dequantized goes to products alone, not to a residual sum.
std::vector<std::string> tensorrt_violations(const onnx::Model& model);

}  // namespace eidolon
