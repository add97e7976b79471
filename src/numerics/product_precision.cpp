#include "numerics/product_precision.h"

#include <ATen/Context.h>

#include <stdexcept>

namespace eidolon {
namespace {

void set_tf32(bool allowed) {
  at::globalContext().setAllowTF32CuBLAS(allowed);
  at::globalContext().setAllowTF32CuDNN(allowed);
}

void set_bfloat16(bool allowed) {
  const auto precision = allowed ? at::Float32Precision::BF16 : at::Float32Precision::NONE;
  at::globalContext().setFloat32Precision(at::Float32Backend::MKLDNN, at::Float32Op::MATMUL, precision);
  at::globalContext().setFloat32Precision(at::Float32Backend::MKLDNN, at::Float32Op::CONV, precision);
}

std::string in_force = "fp32";  ///< LibTorch's settings are global too

void put_in_force(const std::string& precision) {
  set_tf32(precision == "tf32");
  set_bfloat16(precision == "bf16");
  in_force = precision;
}

}  // namespace

ProductPrecision::ProductPrecision(const std::string& precision) {
  if (precision != "fp32" && precision != "tf32" && precision != "bf16")
    throw std::logic_error("no precision of products is named '" + precision + "'");
  before_ = in_force;
  put_in_force(precision);
}

ProductPrecision::~ProductPrecision() {
  put_in_force(before_);
}

}  // namespace eidolon
