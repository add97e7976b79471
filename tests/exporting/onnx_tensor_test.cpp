#include "exporting/onnx_tensor.h"

#include <gtest/gtest.h>

#include "tests/storage/expect_error.h"

namespace eidolon::onnx {
namespace {

std::vector<int> bytes(const TensorData& data) {
  std::vector<int> numbers;
  for (const std::byte byte : bytes_of(data)) numbers.push_back(static_cast<int>(byte));
  return numbers;
}

Tensor int8s(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong).to(at::kChar);
}

TEST(OnnxTensor, NibblesArePackedTheEarlierOneLow) {
  const TensorData data = packed_nibbles(int8s({1, -2, 7, -8}).reshape({2, 2}), Type::int4);
  EXPECT_EQ(data.type, Type::int4);
  EXPECT_EQ(data.dims, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(bytes(data), (std::vector<int>{0xE1, 0x87}));
  EXPECT_EQ(bytes(packed_nibbles(int8s({15, 2, 9}), Type::uint4)), (std::vector<int>{0x2F, 0x09}));
  EXPECT_EQ(bytes(packed_nibbles(int8s({15, 2, 9}).to(at::kByte), Type::float4e2m1)), (std::vector<int>{0x2F, 0x09}));
  EXPECT_EQ(bytes(packed_nibbles(int8s({}), Type::uint4)), std::vector<int>{});
}

TEST(OnnxTensor, NibblesAreTakenInTheOrderOfTheSizesNotOfTheMemory) {
  const Tensor turned = int8s({1, 2, 3, 4}).reshape({2, 2}).t();
  EXPECT_EQ(bytes(packed_nibbles(turned, Type::uint4)), (std::vector<int>{0x31, 0x42}));
}

TEST(OnnxTensor, CodesThatDoNotFitAreRefused) {
  EXPECT_ERROR(Fault, "outside of -8 to 7", packed_nibbles(int8s({8}), Type::int4));
  EXPECT_ERROR(Fault, "outside of -8 to 7", packed_nibbles(int8s({-9}), Type::int4));
  EXPECT_ERROR(Fault, "outside of 0 to 15", packed_nibbles(int8s({-1}), Type::uint4));
  EXPECT_ERROR(Fault, "outside of 0 to 15", packed_nibbles(int8s({16}), Type::float4e2m1));
  EXPECT_ERROR(Fault, "types of 4 bits", packed_nibbles(int8s({1}), Type::int8));
  EXPECT_ERROR(Fault, "int8 or uint8", packed_nibbles(at::ones({2}), Type::int4));
}

TEST(OnnxTensor, IsSharedIfItCanBeAndCopiedInOrderIfNot) {
  const Tensor weights = at::arange(6, at::kFloat).reshape({2, 3});
  EXPECT_EQ(from_tensor(weights).memory.const_data_ptr(), weights.const_data_ptr());
  const TensorData turned = from_tensor(weights.t());
  EXPECT_EQ(turned.dims, (std::vector<int64_t>{3, 2}));
  EXPECT_TRUE(at::equal(turned.memory.reshape({-1}), at::tensor({0.F, 3.F, 1.F, 4.F, 2.F, 5.F})));
}

TEST(OnnxTensor, EveryDtypeHasItsTypeAndBytes) {
  const Tensor one = at::ones({3}, at::kFloat);
  const std::vector<std::pair<at::ScalarType, Type>> dtypes{
      {at::kFloat, Type::float32}, {at::kByte, Type::uint8},   {at::kChar, Type::int8},    {at::kInt, Type::int32},
      {at::kLong, Type::int64},    {at::kBool, Type::boolean}, {at::kHalf, Type::float16}, {at::kBFloat16, Type::bfloat16}};
  for (const auto& [dtype, type] : dtypes) {
    const TensorData data = from_tensor(one.to(dtype));
    EXPECT_EQ(data.type, type);
    EXPECT_EQ(bytes_of(data).size(), byte_count(type, {3}));
  }
  EXPECT_EQ(byte_count(Type::int4, {3, 5}), 8);
  EXPECT_EQ(byte_count(Type::float32, {}), 4);
  EXPECT_EQ(byte_count(Type::float32, {4, 0}), 0);
  EXPECT_ERROR(Fault, "Double", from_tensor(one.to(at::kDouble)));
}

TEST(OnnxTensor, BitPatternsStayAsTheyAre) {
  const Tensor patterns = int8s({0, 56, 127}).to(at::kByte);
  EXPECT_EQ(bytes(from_bits(patterns, Type::float8e5m2)), (std::vector<int>{0, 56, 127}));
  EXPECT_ERROR(Fault, "bit patterns", from_bits(patterns, Type::float16));
  EXPECT_ERROR(Fault, "bit patterns", from_bits(int8s({1}), Type::float8e5m2));
}

}  // namespace
}  // namespace eidolon::onnx
