// The exact changes that make the parameters of all plain vision transformers alike (families/vit.h).
#pragma once

#include <cstdint>
#include <string>

#include "base/tensor.h"
#include "model/families/vit.h"
#include "model/loading/config.h"

namespace eidolon {

int64_t count_blocks(const TensorMap& tensors);
std::string block_name(int64_t index);

/// Makes every block's query, key and value one layer, a gate and what it multiplies one, and folds layer scale.
void join_blocks(TensorMap& tensors, int64_t depth, const std::string& file);

/// DeiT's mean of two heads (Touvron et al., 2021, arXiv 2012.12877, section 5.2) as one head on both tokens.
void join_heads(TensorMap& tensors);

/// Takes transformers' joint projection of query, key and value of attention pooling apart.
void split_pooling(TensorMap& tensors);

/// The constant query W_q u + b_q of attention pooling, with its heads apart.
void settle_pooling_query(TensorMap& tensors, const VitFacts& facts, const std::string& file);

/// Zeros for the biases that no block of the network has. BadInput if the config states qkv_bias otherwise.
void add_missing_biases(TensorMap& tensors, int64_t depth, const ModelConfig& config, const std::string& file);

/// RMSNorm has no shift: with one of zeros it is a norm like the others, and RepQ's folding can use it.
void add_shifts(TensorMap& tensors);

}  // namespace eidolon
