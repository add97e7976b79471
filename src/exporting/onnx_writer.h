// The ONNX writer: one protobuf message, with large weights beside it where they would not fit into one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "exporting/onnx_model.h"

namespace eidolon::onnx {

/// Which weights go into the file NAME.data beside the model NAME, and where they lie in it.
struct ExternalData {
  uint64_t above = 1'000'000'000;  ///< bytes of all weights; up to so many, all of them stay in the model
  uint64_t smallest = 1024;        ///< bytes of a tensor; smaller ones stay in the model in any case
  uint64_t alignment = 65536;      ///< bytes; ONNX recommends it so that Windows can map the weights into memory too
};

/// Writes the model and returns the files: `path`, then the data file if there is one. Equal models give equal bytes.
///
/// Every file is written atomically, the model last. A model that is there already is removed before its weights are
/// replaced, so that it is never seen with weights of another. Tensors are written from where they lie, without a copy.
///
/// Throws BadInput for text that is not UTF-8 and for a message above 2 GB, which protobuf cannot read, and Fault as
/// check_model() does or if the disk fails.
std::vector<std::filesystem::path> write_model(const Model& model, const std::filesystem::path& path,
                                               const ExternalData& external = {});

}  // namespace eidolon::onnx
