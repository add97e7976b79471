// A pass over labelled images: each rank decodes every size-th of them in batches.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "evaluation/image_folder.h"
#include "stages/run_context.h"

namespace eidolon {

struct LabelledInput {
  Tensor images;  ///< B x C x S x S, normalised, on the device
  Tensor labels;  ///< int64 B
  Tensor rows;    ///< int64 B: where the images stand in the list
};

/// Calls `look` for every batch of this rank; images that cannot be decoded are left out and named in `undecodable`. False if
/// a stop was requested. Collective.
bool pass_over(const RunContext& context, const std::vector<LabelledImage>& images, std::vector<std::string>& undecodable,
               const std::function<void(const LabelledInput&)>& look);

}  // namespace eidolon
