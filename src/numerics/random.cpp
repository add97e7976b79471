#include "numerics/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

namespace eidolon {

RandomStream::RandomStream(uint64_t seed, Purpose purpose, int64_t index, int64_t iteration)
    : engine_(seed, static_cast<uint64_t>(purpose) << 48 | static_cast<uint64_t>(index),
              static_cast<uint64_t>(iteration) << 32) {}

double RandomStream::uniform() {
  return (engine_() + 0.5) * 0x1p-32;
}

double RandomStream::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

int64_t RandomStream::below(int64_t bound) {
  return static_cast<int64_t>((static_cast<uint64_t>(engine_()) * static_cast<uint64_t>(bound)) >> 32);
}

double RandomStream::normal() {
  if (spare_normal_) {
    const double spare = *spare_normal_;
    spare_normal_.reset();
    return spare;
  }
  const double radius = std::sqrt(-2.0 * std::log(uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

Tensor RandomStream::normals(at::IntArrayRef shape) {
  Tensor result = at::empty(shape, at::kFloat);
  float* values = result.mutable_data_ptr<float>();
  for (int64_t i = 0; i < result.numel(); ++i) values[i] = static_cast<float>(normal());
  return result;
}

/// 32 independent bits, each 1 with probability chance / 2^16. The digits of the chance are read from the last that is not 0:
/// `or` with a fair bit takes a probability q to (1 + q) / 2, `and` to q / 2.
uint32_t RandomStream::biased_bits(uint32_t chance) {
  if (chance == 1u << 16) return ~0u;
  uint32_t bits = 0;
  for (int digit = std::countr_zero(chance); digit < 16; ++digit) {
    const uint32_t fair = engine_();
    bits = (chance >> digit & 1u) != 0 ? bits | fair : bits & fair;
  }
  return bits;
}

Tensor RandomStream::mask(at::IntArrayRef shape, double probability) {
  const auto chance = static_cast<uint32_t>(std::lround(probability * 0x1p16));
  Tensor result = at::empty(shape, at::kBool);
  bool* values = result.mutable_data_ptr<bool>();
  for (int64_t first = 0; first < result.numel(); first += 32) {
    const uint32_t bits = biased_bits(chance);
    const auto count = static_cast<int>(std::min<int64_t>(32, result.numel() - first));
    for (int i = 0; i < count; ++i) values[first + i] = (bits >> i & 1u) != 0;
  }
  return result;
}

std::vector<int64_t> RandomStream::permutation(int64_t size) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = size - 1; i > 0; --i) std::swap(order[i], order[below(i + 1)]);
  return order;
}

}  // namespace eidolon
