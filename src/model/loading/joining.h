// Exact changes of a teacher's parameters that make networks of one family alike: joined matrices, folded scales.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

/// The rows of `parts` one after the other become `whole`, if all parts are there and fit; otherwise nothing changes, so that
/// what is missing is reported by its own name.
void join_rows(TensorMap& tensors, const std::vector<std::string>& parts, const std::string& whole);

/// The weights and biases of linear layers `parts` become those of `whole`. A bias that some parts lack is zero there; where
/// all lack it, it stays missing.
void join_layers(TensorMap& tensors, const std::vector<std::string>& parts, const std::string& whole);

/// The outputs of the layer `name` times `scale`, [outputs], which is taken out of the map: layer scale (Touvron et al., 2021,
/// arXiv 2103.17239). BadInput naming `file` if the sizes do not fit.
void fold_scale(TensorMap& tensors, const std::string& scale, const std::string& name, const std::string& file);

/// A bias of zeros for the layer `name` if it has a weight and no bias.
void add_zero_bias(TensorMap& tensors, const std::string& name);

}  // namespace eidolon
