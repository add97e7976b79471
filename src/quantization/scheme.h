// The scheme: which quantizer stands on which node. The manifest: the same, for people and for export.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "job/job.h"
#include "model/node.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// Nodes without an entry stay float. After I&S-ViT (arXiv 2311.10126): every weight and every matrix-product input is
/// quantized, the image is not; patch embedding and head included; probabilities by `attention` (auto: companded), q, k, v
/// and the inputs of proj and fc2 by `activation_kind`. job.bits_for then changes some of them (quantization/bit_rules.h);
/// BadInput if a rule matches no node.
using Scheme = std::map<NodeId, QuantizerSpec>;

Scheme scheme_of(const QuantizationJob& job, int depth);

/// JSON of every node of the model, float ones included: {"nodes": [{"name", "bits", "kind", "symmetric", "granularity",
/// "axis"} or {"name", "float": true}]}. "axis" is null for a whole tensor.
/// Read back by scheme_from_json (Fault if the text is damaged).
std::string scheme_to_json(const Scheme& scheme, int depth);
Scheme scheme_from_json(const std::string& text);

}  // namespace eidolon
