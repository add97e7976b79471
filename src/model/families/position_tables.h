// Tables that follow from places on the grid: rotations of queries and keys, biases of attention, resampled positions.
#pragma once

#include <cstdint>

#include "base/tensor.h"
#include "model/loading/timm_names.h"

namespace eidolon {

/// Cosines and sines by which the D/H channels of a patch's query turn, 2 x P x D/H (model/plan.h, Attention::rotation).
/// `rotation` is of kind "cat" (Fang et al., 2023, arXiv 2303.11331) or "dinov3" (Simeoni et al., 2025, arXiv 2508.10104).
Tensor rotation_table(const Rotation& rotation, int64_t grid, int64_t head_width);

/// The same of learned frequencies (Heo et al., 2024, arXiv 2403.13298): 2 x H x P x D/H from frequencies 2 x H x D/2H.
Tensor rotation_table(const Tensor& frequencies, bool columns_first, int64_t grid);

/// Biases H x N x N of all pairs of places of a side x side window from a table (2 side - 1)^2 x H (Liu et al., 2021, arXiv
/// 2103.14030, equation 4). With a class token in front the table has three further rows: class to patch, patch to class, class
/// to class (Bao et al., 2021, arXiv 2106.08254).
Tensor relative_bias(const Tensor& table, int64_t side, bool class_token);

/// Positions 1 x (prefix + g g) x D for another grid: the prefix stays, the grid is resized bicubically.
Tensor resampled_positions(const Tensor& positions, int64_t prefix, int64_t grid, bool antialias);

}  // namespace eidolon
