#include "exporting/onnx_tensor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/error.h"

namespace eidolon::onnx {

static_assert(std::endian::native == std::endian::little, "ONNX is little-endian; this machine would swap bytes");

namespace {

constexpr std::array<std::pair<at::ScalarType, Type>, 11> types{{
    {at::kFloat, Type::float32},
    {at::kByte, Type::uint8},
    {at::kChar, Type::int8},
    {at::kInt, Type::int32},
    {at::kLong, Type::int64},
    {at::kBool, Type::boolean},
    {at::kHalf, Type::float16},
    {at::kBFloat16, Type::bfloat16},
    {at::kFloat8_e4m3fn, Type::float8e4m3fn},
    {at::kFloat8_e5m2, Type::float8e5m2},
    {at::kFloat8_e8m0fnu, Type::float8e8m0},
}};

Tensor on_cpu(const Tensor& tensor) {
  return tensor.detach().to(at::kCPU).contiguous();
}

}  // namespace

int bits_of(Type type) {
  switch (type) {
    case Type::uint4:
    case Type::int4:
    case Type::float4e2m1:
      return 4;
    case Type::float16:
    case Type::bfloat16:
      return 16;
    case Type::float32:
    case Type::int32:
      return 32;
    case Type::int64:
      return 64;
    default:
      return 8;
  }
}

std::span<const std::byte> bytes_of(const TensorData& data) {
  return {static_cast<const std::byte*>(data.memory.const_data_ptr()), data.memory.nbytes()};
}

uint64_t byte_count(Type type, const std::vector<int64_t>& dims) {
  uint64_t elements = 1;
  for (const int64_t size : dims) elements *= static_cast<uint64_t>(size);
  return (elements * static_cast<uint64_t>(bits_of(type)) + 7) / 8;
}

TensorData from_tensor(const Tensor& tensor) {
  const auto* const known = std::ranges::find(types, tensor.scalar_type(), &std::pair<at::ScalarType, Type>::first);
  if (known == types.end())
    throw Fault(std::string("a tensor of dtype ") + at::toString(tensor.scalar_type()) + " has no type in ONNX here");
  return {.type = known->second, .dims = tensor.sizes().vec(), .memory = on_cpu(tensor)};
}

TensorData packed_nibbles(const Tensor& codes, Type type) {
  if (bits_of(type) != 4) throw Fault("only types of 4 bits are packed two to a byte");
  if (codes.scalar_type() != at::kChar && codes.scalar_type() != at::kByte)
    throw Fault("codes of 4 bits come as int8 or uint8");
  const Tensor flat = on_cpu(codes).reshape({-1});
  const int lowest = type == Type::int4 ? -8 : 0;
  const bool fits = flat.numel() == 0 || (flat.min().item<int>() >= lowest && flat.max().item<int>() <= lowest + 15);
  if (!fits) throw Fault("a code is outside of " + std::to_string(lowest) + " to " + std::to_string(lowest + 15));

  const Tensor memory = at::zeros({(flat.numel() + 1) / 2}, at::kByte);
  const auto* const from = static_cast<const uint8_t*>(flat.const_data_ptr());  // of -3, the low half is that of 13
  auto* const to = memory.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < flat.numel(); ++i) to[i / 2] |= static_cast<uint8_t>((from[i] & 15) << 4 * (i % 2));
  return {.type = type, .dims = codes.sizes().vec(), .memory = memory};
}

TensorData from_bits(const Tensor& patterns, Type type) {
  if (bits_of(type) != 8 || patterns.scalar_type() != at::kByte) throw Fault("bit patterns of 8 bits come as uint8");
  return {.type = type, .dims = patterns.sizes().vec(), .memory = on_cpu(patterns)};
}

}  // namespace eidolon::onnx
