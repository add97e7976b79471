// The scheme: which quantizer stands on which node. The manifest: the same, for people and for export.
#pragma once

#include <map>
#include <string>

#include "job/job.h"
#include "model/plan.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// Nodes without an entry stay float.
using Scheme = std::map<NodeId, QuantizerSpec>;

/// After I&S-ViT (arXiv 2311.10126) every weight and every input of a matrix product is quantized, those of the first and the
/// last layer included, and the image is not. Weights have `weight_format`, probabilities `attention`, all others
/// `activation_format`. quantization/named_formats.h has their names. job.bits_for then changes some nodes
/// (quantization/bit_rules.h). BadInput if a rule matches no node or asks bits of a format whose bits are fixed.
Scheme scheme_of(const QuantizationJob& job, const Plan& plan);

/// JSON of every node of the network, float ones included: {"nodes": [{"name", "format", "bits", "symmetric", "scale":
/// {"granularity", "axis", "block", "stored", "from_values"}} or {"name", "float": true}]}. Read back by scheme_from_json
/// (Fault if the text is damaged or of another network).
std::string scheme_to_json(const Scheme& scheme, const Plan& plan);
Scheme scheme_from_json(const std::string& text, const Plan& plan);

}  // namespace eidolon
