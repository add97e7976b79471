// The packed student: integers as small as they are, and a manifest that says what each number is. Its own format, described in
// docs/reference/export.md, and the source from which others can be made.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "exporting/deployment.h"
#include "exporting/export_facts.h"

namespace eidolon {

/// Tensors of student.safetensors, for a weight node W ("blocks.0.attn.qkv.weight", outputs x inputs, or outputs x C x K x K):
///   W                 int8 integers; uint8 with two 4-bit integers each, along the inputs, the earlier one in the low half
///                     (rows of odd length end with a half of zeros); FP8 as F8_E4M3 or F8_E5M2; FP4 as two patterns a byte
///   W.scale           float32 or float16; E8M0 as uint8 exponents e of 2^(e - 127); E4M3 as F8_E4M3
///   W.zero_point      int8, if any is not 0
///   W.factor          float32 [1] that multiplies scales of E4M3
///   W.left, W.right   low-rank factors, outputs x r and r x inputs: float16, or int8 with W.left.scale and W.right.scale,
///                     float32, of each row
///   W.float_channels  int64, ascending, and W.float_columns, float32 outputs x channels
/// and for a rounded input I: I.scale float32 [1]. All other parameters are float32 under their own names.
TensorMap packed_tensors(const Deployment& deployment);

/// W and W.scale as above.
Tensor stored_codes(const DeployedWeight& weight);
Tensor stored_scales(const DeployedWeight& weight);

/// The manifest: {"format": "eidolon student", "format_version", "target", "program", "recipe", "data_free", "teacher",
/// "images", "student", "preprocessing", "class_names", "figures", "nodes": every node of the plan, with how it is stored}.
nlohmann::ordered_json export_manifest(const Deployment& deployment, const ExportFacts& facts);

}  // namespace eidolon
