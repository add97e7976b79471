#include "numerics/random_mask.h"

#include <cmath>
#include <functional>
#include <numeric>

#include "numerics/cuda_kernel.h"
#include "numerics/transfer.h"

namespace eidolon {
namespace {

/// at::Philox4_32 and RandomStream::biased_bits for the element at `position` of one stream: word d of the stream is word
/// d % 4 of the block d / 4. T is int64.
const CudaKernel philox_bits{.name = "philox_bit", .code = R"(
template <typename T> T philox_word(T draw, T iteration, T stream, T seed) {
  unsigned int counter[4] = {(unsigned int)(draw >> 2), (unsigned int)iteration, (unsigned int)stream,
                             (unsigned int)(stream >> 32)};
  unsigned int key[2] = {(unsigned int)seed, (unsigned int)(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const unsigned long long first = 0xD2511F53ull * counter[0], second = 0xCD9E8D57ull * counter[2];
    counter[0] = (unsigned int)(second >> 32) ^ counter[1] ^ key[0];
    counter[2] = (unsigned int)(first >> 32) ^ counter[3] ^ key[1];
    counter[1] = (unsigned int)second;
    counter[3] = (unsigned int)first;
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter[draw & 3];
}

template <typename T> void philox_bit(T position, T stream, T seed, T iteration, T chance, T& bit) {
  int first = 0;
  while (first < 16 && (chance >> first & 1) == 0) ++first;
  T draw = (position >> 5) * (16 - first);
  unsigned int bits = 0;
  for (int digit = first; digit < 16; ++digit, ++draw) {
    const unsigned int fair = (unsigned int)philox_word<T>(draw, iteration, stream, seed);
    bits = (chance >> digit & 1) != 0 ? bits | fair : bits & fair;
  }
  bit = chance >> 16 != 0 ? 1 : bits >> (position & 31) & 1;
}
)"};

}  // namespace

Tensor random_mask(uint64_t seed, Purpose purpose, const std::vector<int64_t>& indices, int64_t iteration,
                   at::IntArrayRef shape, double probability, at::Device device) {
  std::vector<int64_t> batch_shape = shape.vec();
  batch_shape.insert(batch_shape.begin(), static_cast<int64_t>(indices.size()));
  if (device.is_cuda()) {
    const int64_t elements = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    const Tensor positions = at::arange(elements, at::TensorOptions(at::kLong).device(device));
    const Tensor streams = sent_to(device, at::tensor(indices, at::kLong)) + (static_cast<int64_t>(purpose) << 48);
    const auto chance = static_cast<int64_t>(std::lround(probability * 0x1p16));
    return launch(philox_bits, {positions.unsqueeze(0), streams.unsqueeze(1)}, {static_cast<int64_t>(seed), iteration, chance})
        .front()
        .to(at::kBool)
        .view(batch_shape);
  }
  std::vector<Tensor> masks;
  for (const int64_t index : indices) masks.push_back(RandomStream(seed, purpose, index, iteration).mask(shape, probability));
  return at::stack(masks).to(device);
}

}  // namespace eidolon
