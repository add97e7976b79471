// BatchNorm statistics: what the teacher's training data were like to each of its convolutions (DeepInversion, Yin et al.,
// 2020, arXiv 1912.08795; ZeroQ, Cai et al., 2020, arXiv 2001.00281).
#pragma once

#include <vector>

#include "synthesis/terms/term.h"

namespace eidolon {

/// Mean over layers and channels of ((mu - mean) / d)^2 + (sigma / d - 1)^2: mu and sigma of the images' outputs, mean and d
/// those that BatchNorm kept (d at least 1e-3 of the layer's largest). In units of d a layer's gain does not matter. 0-d.
///  found, kept: per layer 2 x outputs, means and deviations.
Tensor statistics_loss(const std::vector<Tensor>& found, const std::vector<Tensor>& kept);

DrawnTerm draw_statistics_term(const TermContext& context);

}  // namespace eidolon
