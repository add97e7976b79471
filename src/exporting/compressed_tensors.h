// The student as the compressed-tensors package stores models, which transformers reads
// (https://github.com/vllm-project/compressed-tensors, version 0.20).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "exporting/deployment.h"
#include "model/loading/published_folder.h"

namespace eidolon {

/// Integers of b bits as the package packs them: of each row, value i + 2^(b-1) in bits b i .. b i + b - 1 of a string of
/// 32-bit words, the lowest bit first. `codes` is int8 outputs x inputs; the result is int32 outputs x ceil(inputs b / 32).
Tensor packed_words(const Tensor& codes, int64_t bits);

/// quantization_config. `deployment` has its shifts kept. BadInput that names the first node that the package cannot express,
/// and the key that would help.
nlohmann::ordered_json compression_config(const Deployment& deployment, const PublishedFolder& folder);

/// The tensors to it. The embedding of the image is a convolution, which the package leaves alone: float32 values of its
/// integers.
TensorMap compressed_tensors(const Deployment& deployment, const PublishedFolder& folder);

/// The package makes bfloat16 of weights whose blocks have scales of 8 bits, whatever the other parameters are.
bool decompresses_to_bfloat16(const Deployment& deployment);

}  // namespace eidolon
