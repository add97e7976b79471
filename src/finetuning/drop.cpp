#include "finetuning/drop.h"

#include <vector>

namespace eidolon {
namespace {

std::vector<RandomStream> streams_of(const StepImages& at, Purpose purpose) {
  std::vector<RandomStream> streams;
  for (const int64_t image : at.images) streams.emplace_back(at.seed, purpose, image, at.step);
  return streams;
}

/// bool, of the shape and on the device of `like`: image b's elements from stream b.
Tensor next_mask(std::vector<RandomStream>& streams, const Tensor& like, double probability) {
  std::vector<Tensor> masks;
  for (RandomStream& stream : streams) masks.push_back(stream.mask(like.sizes().slice(1), probability));
  return at::stack(masks).to(like.device());
}

}  // namespace

Tensor mixed_input(const Tensor& quantized, const Tensor& exact, const StepImages& at, double probability) {
  std::vector<RandomStream> streams = streams_of(at, Purpose::input_mix);
  return at::where(next_mask(streams, quantized, probability), exact, quantized);
}

}  // namespace eidolon
