// The student as an ONNX graph.
#pragma once

#include <cstdint>

#include "exporting/deployment.h"
#include "exporting/onnx_model.h"
#include "model/preprocessing.h"

namespace eidolon {

/// What the graph is fed.
enum class ImageInput {
  normalised,  ///< "image": float32 batch x C x S x S, as Preprocessing normalises
  bytes,       ///< "image": uint8 batch x C x S x S; the normalisation is part of the weights
};

struct GraphSettings {
  ImageInput input = ImageInput::normalised;
  bool computed_scales = true;  ///< a weight's scales may be stored in fewer bits and cast; otherwise they are float32
};

/// The lowest version of ONNX's operators that has the student's types: 21, 23 for FP4, 24 for scales in E8M0.
int64_t opset_of(const Deployment& deployment);

/// The graph from "image" to "logits" (batch x classes), or to "embedding" or one output for each part of the features, for any
/// batch. `deployment` has its shifts folded and must not change
/// before the model is written, since the model shares its tensors.
///
/// Weights stand behind DequantizeLinear, inputs between QuantizeLinear and DequantizeLinear; norms, GELU, softmax and sums are
/// float. BadInput naming the first node whose format ONNX cannot express.
onnx::Model onnx_graph(const Deployment& deployment, const Preprocessing& preprocessing, const GraphSettings& settings);

}  // namespace eidolon
