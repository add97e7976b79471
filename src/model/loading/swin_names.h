// Names of Swin transformers in other conventions.
#pragma once

#include "base/tensor.h"
#include "model/loading/config.h"

namespace eidolon {

/// True for names of timm, of the authors, of Hugging Face, of torchvision and of OpenMMLab, after their prefix.
bool has_swin_names(const TensorMap& tensors);

struct SwinNames {
  TensorMap tensors;            ///< by timm's names
  SwinConventions conventions;  ///< of the file's origin
};

/// Mergings stand at the beginning of a stage, as in timm. OpenMMLab's have the inputs of timm's order afterwards: there a
/// square's four places run fastest, (0, 0), (0, 1), (1, 0), (1, 1) as (row, column).
SwinNames to_timms_swin(const TensorMap& tensors);

}  // namespace eidolon
