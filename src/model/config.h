// A model folder's config.json: what the weights cannot say of themselves.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/preprocessing.h"

namespace eidolon {

/// Fields that the config states; the weights decide where it is silent, and must not contradict it.
struct ModelConfig {
  std::optional<int64_t> heads, classes, width, depth, image_size, patch_size, channels;
  double layer_norm_epsilon = 1e-6;
  std::string pooling = "token";
  std::string architecture;  ///< for messages
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  ///< by class index; empty where the config names none
};

/// timm's form (pretrained_cfg, model_args) or Hugging Face's (with preprocessor_config.json). Throws BadInput naming the file
/// and the field.
ModelConfig read_model_config(const std::filesystem::path& folder);

}  // namespace eidolon
