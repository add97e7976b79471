// ViT / DeiT: one definition that serves the teacher and the student.
//
// Dosovitskiy et al., 2021 (arXiv 2010.11929): pre-norm blocks, class token, learned positions, exact GELU. The functions are
// pure: parameters in, tensors out, every node shown to the Tap. The computation runs in the dtype of the parameters, softmax
// in float32 at least.
#pragma once

#include <string>

#include "base/tensor.h"
#include "model/architecture.h"
#include "model/node.h"

namespace eidolon {

struct VisionTransformer {
  Architecture architecture;
  TensorMap parameters;  ///< timm names; see parameter_shapes()

  const Tensor& operator[](const std::string& name) const { return parameters.at(name); }
  VisionTransformer to(at::Device device, at::ScalarType dtype) const;  ///< shares what already fits
  VisionTransformer clone() const;                                      ///< deep
};

/// images: B x C x S x S, normalised. Returns logits B x classes.
Tensor forward(const VisionTransformer& model, const Tensor& images, const Tap& tap = {});

/// The rows that the patch embedding multiplies: B x C x S x S -> B x patches x (C P P).
Tensor patches_of(const Architecture& architecture, const Tensor& images);

/// Patches to tokens: B x C x S x S -> B x N x D, class token first, positions added.
Tensor embed(const VisionTransformer& model, const Tensor& images, const Tap& tap = {});

/// Block l on tokens: B x N x D -> B x N x D.
Tensor forward_block(const VisionTransformer& model, int block, const Tensor& tokens, const Tap& tap = {});

/// Last LayerNorm and head on the class token: B x N x D -> B x classes.
Tensor classify(const VisionTransformer& model, const Tensor& tokens, const Tap& tap = {});

}  // namespace eidolon
