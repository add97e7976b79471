// Rounding a layer's weights group by group, what is still free making up for what is already rounded: "Wqer" of ERQ (Zhong et
// al., ICML 2024, arXiv 2407.06794).
#pragma once

#include "quantization/quantizer.h"

namespace eidolon {

/// A layer's map whose weights were rounded one group after the other.
struct CompensatedMap {
  Tensor rounded;  ///< weights exactly on the grid (as float32 gives it)
  Tensor wanted;   ///< what each weight had followed to when its turn came; the bias as in `rounded`
};

/// Repeatedly takes half of the input columns that are still free, those of the greatest energy first, and rounds them; the
/// others (free, f, the bias always among them) follow by ridge regression,
///   d_f = -H_ff^-1 H_fg d_g   for the rounding errors d_g of the group.
/// The group is rounded (rounding_refinement.h) for the error that is left after that, d_g^T (H_gg - H_gf H_ff^-1 H_fg) d_g.
///  map: (n + 1) x m as of affine_map(); metric: H, (n + 1) x (n + 1), positive definite (ridge_correction.h); `quantizer`:
///  uniform, one scale per output or one for all.
CompensatedMap compensated_rounding(const Tensor& map, const Tensor& metric, const Quantizer& quantizer);

}  // namespace eidolon
