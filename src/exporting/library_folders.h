// Folders that timm or transformers load as a model: the targets "compressed-tensors" and "torch". Each has model.safetensors,
// config.json, preprocessor_config.json where transformers can prepare photographs so, and README.md.
#pragma once

#include <filesystem>

#include "exporting/deployment.h"
#include "exporting/export_facts.h"

namespace eidolon {

// Deployments have their shifts kept.

/// BadInput that names the first node that the package cannot express, and the key that would help.
void check_compressed_folder(const Deployment& deployment, const ExportFacts& facts);
void write_compressed_folder(const Deployment& deployment, const ExportFacts& facts, const std::filesystem::path& folder);

/// The network with float32 values of its quantized weights. Beside it activations.json, how inputs are rounded, and
/// load_student.py, which does so by hooks and evaluates a folder of images.
void write_torch_folder(const Deployment& deployment, const ExportFacts& facts, const std::filesystem::path& folder);

}  // namespace eidolon
