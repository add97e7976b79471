// The precision in which float32 matrices are multiplied.
#pragma once

#include <string>

namespace eidolon {

/// While it lives, products of float32 matrices and float32 convolutions, forward and backward, on all threads, take their
/// factors in fewer bits. Sums and results stay float32, and so does everything else. One may live within another, on the
/// thread that made both: the inner one counts.
///
/// "fp32": as they are. "tf32": CUDA, 10 bits of mantissa. "bf16": CPUs, through oneDNN, 7 bits of mantissa; a CPU without
/// matrix tiles for it may multiply float32. Throws std::logic_error for another name.
class ProductPrecision {
 public:
  explicit ProductPrecision(const std::string& precision);
  ~ProductPrecision();
  ProductPrecision(const ProductPrecision&) = delete;
  ProductPrecision& operator=(const ProductPrecision&) = delete;

 private:
  std::string before_;
};

}  // namespace eidolon
