// Attention as a piece of an ONNX graph.
#pragma once

#include <string>

#include "exporting/onnx_products.h"

namespace eidolon::onnx {

/// A norm over the last axis.
std::string norm(Graph& graph, const steps::Norm& norm, const std::string& x);

/// x and the result are B x N x D. The scale 1 / sqrt(D/H) of the scores is folded into the queries' weights where it is a
/// power of two and nothing stands between, since a runtime that finds a Mul there falls out of its kernels.
std::string attend(Graph& graph, const Attention& attention, const std::string& x);

/// From B x N x D to B x 1 x D.
std::string pool_by_attention(Graph& graph, const steps::PoolByAttention& pooling, const std::string& x);

}  // namespace eidolon::onnx
