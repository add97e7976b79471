// Rotations inside attention's heads, which leave the model's function as it is and spread outliers over all channels: QuaRot
// (Ashkboos et al., NeurIPS 2024, arXiv 2404.00456), here without anything left to do at inference.
#pragma once

#include "model/network.h"

namespace eidolon {

/// An orthogonal matrix, float64 n x n, n > 0: Hadamard's of the power of two in n, Kronecker the cosine transform (DCT-II) of
/// what is odd in n, so that each row takes (nearly) equal shares of all columns.
Tensor spreading_rotation(int64_t n);

/// With R = spreading_rotation(D/H), for every head of every attention of the plan: query, key and value become q R, k R and v
/// R, since their weights and biases do, and proj's weight takes R back. Scores q R (k R)^T = q k^T and the outputs of proj
/// stay what they were (computed in float64).
void rotate_heads(Network& network);

}  // namespace eidolon
