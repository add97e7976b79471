// Values that scripts/references/make_synthesis_references.py computed by definition; it lists the names.
#pragma once

#include "storage/safetensors.h"
#include "tests/places.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon::testing {

/// "FILE.TENSOR".
inline Tensor reference(const std::string& name) {
  const size_t dot = name.find('.');
  const auto file = test_data() / "synthesis" / (name.substr(0, dot) + ".safetensors");
  return read_safetensors(file).tensors.at(name.substr(dot + 1));
}

/// "NAME.0" and "NAME.1", of two blocks.
inline std::vector<Tensor> reference_blocks(const std::string& name) {
  return {reference(name + ".0"), reference(name + ".1")};
}

/// The images of the blocks in another order.
inline std::vector<Tensor> swapped(std::vector<Tensor> blocks) {
  for (Tensor& block : blocks) block = block.flip(0);
  return blocks;
}

}  // namespace eidolon::testing
