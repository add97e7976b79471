// The teacher: full-precision weights, their shape and their preprocessing, read from a folder and checked whole.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "model/loading/config.h"
#include "model/network.h"
#include "model/preprocessing.h"

namespace eidolon {

struct Teacher {
  Network model;  ///< float32, CPU, no gradients
  Preprocessing preprocessing;
  std::string content_hash;                   ///< of the weights' names, shapes, dtypes and bytes
  std::vector<std::string> class_names = {};  ///< one per class, in the order of the logits; empty where the config names none
};

/// What a user may say of a teacher beyond its folder.
struct TeacherOptions {
  int64_t image_size = 0;   ///< positions are resampled to it; 0: the folder's own
  std::string output = {};  ///< of a network without classes: pooled | tokens | both | stages; empty: its own
  std::filesystem::path class_embeddings = {};  ///< a safetensors file; empty: none

  // What stands above the config; 0 and empty: nothing.
  int64_t heads = 0;
  std::string activation = {};
  double epsilon = 0;
  std::string pooling = {};
};

/// Reads the weights (model/loading/weight_files.h) and the config (model/loading/config.h) of a folder. Throws BadInput that
/// names the file and lists every missing, unexpected and misshapen key, and every field that asks for what is not built; for
/// an architecture that is not built, its name; for NaN or Inf, the tensor. Nothing is loaded by half.
Teacher read_teacher(const std::filesystem::path& folder, const TeacherOptions& options = {});

/// The network of tensors that have timm's names (model/loading/key_mapping.h) and are float32, with all the checks of
/// read_teacher(). `file` and `folder` are for messages.
Network checked_network(TensorMap tensors, const ModelConfig& config, const std::string& file,
                        const std::filesystem::path& folder);

/// Rank 0 reads, all ranks receive. Collective; an error on rank 0 is thrown on every rank.
Teacher load_teacher(const std::filesystem::path& folder, const TeacherOptions& options, const Communicator& communicator);

}  // namespace eidolon
