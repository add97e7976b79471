// The tensors of an ONNX file: an element type, sizes, and raw little-endian bytes as TensorProto.raw_data holds them.
//
// Elements of 4 bits lie two to a byte, the earlier one in the low half. An odd count ends with a half of zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon::onnx {

/// The element types that the exporters use, with the numbers of TensorProto.DataType.
enum class Type : int32_t {
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  int32 = 6,
  int64 = 7,
  boolean = 9,
  float16 = 10,
  bfloat16 = 16,
  float8e4m3fn = 17,
  float8e5m2 = 19,
  uint4 = 21,
  int4 = 22,
  float4e2m1 = 23,
  float8e8m0 = 24,
};

int bits_of(Type type);  ///< per element: 4, 8, 16, 32 or 64

struct TensorData {
  Type type = Type::float32;
  std::vector<int64_t> dims;  ///< empty for a scalar
  Tensor memory;              ///< contiguous, on the CPU, of any dtype and shape; its bytes are the elements
};

std::span<const std::byte> bytes_of(const TensorData& data);

/// The bytes that elements of such a type and sizes take.
uint64_t byte_count(Type type, const std::vector<int64_t>& dims);

/// A LibTorch tensor of a dtype that ONNX has as well; Fault for another. It may be on any device. A contiguous tensor
/// on the CPU is shared, not copied, so it must not change before the model is written.
TensorData from_tensor(const Tensor& tensor);

/// Integers packed to `type`, which is int4 (-8 to 7), uint4 or float4e2m1 (0 to 15, of which the latter are bit
/// patterns). Fault for a value outside. The sizes are those of `codes`, of dtype int8 or uint8.
TensorData packed_nibbles(const Tensor& codes, Type type);

/// Bit patterns of dtype uint8 as elements of a type of 8 bits, such as float8e4m3fn.
TensorData from_bits(const Tensor& patterns, Type type);

}  // namespace eidolon::onnx
