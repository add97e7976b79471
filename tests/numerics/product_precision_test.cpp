#include "numerics/product_precision.h"

#include <ATen/ATen.h>
#include <ATen/cpu/Utils.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "base/tensor.h"
#include "tests/device/test_device.h"

namespace eidolon {
namespace {

double relative(const Tensor& a, const Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).norm() / b.to(at::kDouble).norm()).item<double>();
}

Tensor drawn(at::IntArrayRef sizes) {
  return at::randn(sizes, at::TensorOptions().dtype(at::kFloat)).to(test_device());
}

/// What this device may round factors to. CPUs without matrix tiles may leave them as they are.
struct Rounded {
  const char* name;
  double half_step;  ///< of a mantissa: the largest relative error of one factor
  bool certain;
};

Rounded fewer_bits() {
  if (test_device().is_cuda()) return {"tf32", 0x1p-11, true};
  return {"bf16", 0x1p-9, at::cpu::init_amx()};
}

TEST(ProductPrecision, RoundsFactorsOfProductsWhileItLivesAndNothingElse) {
  at::manual_seed(1);
  const Rounded rounded = fewer_bits();
  const Tensor rows = drawn({512, 256}), weight = drawn({384, 256}), bias = drawn({384});
  const Tensor maps = drawn({4, 16, 24, 24}), kernel = drawn({32, 16, 3, 3});
  const auto products = [&] {
    return std::vector<Tensor>{at::linear(rows, weight, bias), at::conv2d(maps, kernel, {}, 1, 1),
                               at::matmul(rows.view({8, 64, 256}), rows.view({8, 64, 256}).transpose(1, 2)),
                               (rows.exp() * 3 + rows).sum()};
  };
  const std::vector<Tensor> exact = products();
  std::vector<Tensor> fewer;
  {
    const ProductPrecision precision(rounded.name);
    fewer = products();
  }
  const std::vector<Tensor> after = products();
  for (size_t i = 0; i < exact.size(); ++i) EXPECT_TRUE(at::equal(after[i], exact[i])) << i;
  EXPECT_TRUE(at::equal(fewer[3], exact[3])) << "a sum is no product";
  for (size_t i = 0; i < 3; ++i) {
    const double error = relative(fewer[i], exact[i]);
    EXPECT_LE(error, 2 * rounded.half_step) << i;                  // both factors, at their worst
    const bool cudnn_chooses = i == 1 && test_device().is_cuda();  // a kernel with or without TF32
    if (rounded.certain && !cudnn_chooses) {
      EXPECT_GT(error, rounded.half_step / 16) << i << ": nothing was rounded";
    }
    EXPECT_EQ(fewer[i].scalar_type(), at::kFloat);
  }
}

TEST(ProductPrecision, GradientsAreProductsOfRoundedFactorsToo) {
  at::manual_seed(2);
  const Rounded rounded = fewer_bits();
  const auto gradient = [&] {
    at::manual_seed(3);
    const Tensor rows = drawn({512, 256});
    const Tensor weight = drawn({384, 256}).set_requires_grad(true);
    at::linear(rows, weight).square().sum().backward();
    return weight.grad();
  };
  const Tensor exact = gradient();
  const ProductPrecision precision(rounded.name);
  const double error = relative(gradient(), exact);
  EXPECT_LE(error, 6 * rounded.half_step);
  if (rounded.certain) {
    EXPECT_GT(error, rounded.half_step / 16);
  }
}

TEST(ProductPrecision, LivesWithinAnother) {
  at::manual_seed(5);
  const Tensor a = drawn({64, 256}), b = drawn({384, 256});
  const Tensor exact = at::linear(a, b);
  const ProductPrecision outer(fewer_bits().name);
  const Tensor fewer = at::linear(a, b);
  {
    const ProductPrecision inner("fp32");
    EXPECT_TRUE(at::equal(at::linear(a, b), exact));
  }
  EXPECT_TRUE(at::equal(at::linear(a, b), fewer));
}

TEST(ProductPrecision, Fp32ChangesNothingAndOtherNamesAreRefused) {
  at::manual_seed(4);
  const Tensor a = drawn({64, 64}), b = drawn({64, 64});
  const Tensor exact = at::matmul(a, b);
  const ProductPrecision precision("fp32");
  EXPECT_TRUE(at::equal(at::matmul(a, b), exact));
  EXPECT_THROW(ProductPrecision("fp16"), std::logic_error);
}

}  // namespace
}  // namespace eidolon
