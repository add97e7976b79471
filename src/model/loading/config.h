// A model folder's config.json: what the weights cannot say of themselves.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/loading/timm_names.h"
#include "model/preprocessing.h"

namespace eidolon {

/// A number that the config states and the weights must have.
struct StatedNumber {
  std::string what;  ///< "classes", "width", "depth", "hidden", "image size", "patch size", "channels"
  int64_t value = 0;
  std::string field;  ///< where it stands: "pretrained_cfg.input_size"
};

struct ModelConfig {
  std::vector<StatedNumber> stated;
  std::optional<int64_t> heads;
  std::optional<HeadsOfName> heads_of_name;  ///< what timm's name says where no field does
  std::optional<double> mlp_ratio;
  double layer_norm_epsilon = 1e-6;
  std::string architecture;  ///< for messages
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  ///< by class index; empty where the config names none
  std::vector<std::string> refused;      ///< one clause per field that asks for what is not built or is not known
};

/// timm's form (pretrained_cfg and model_args, or flat) or Hugging Face's (with preprocessor_config.json or
/// processor_config.json). Every field is looked up in config_fields(): honoured, passed over, or listed in `refused`. Throws
/// BadInput naming the file if there is nothing to read.
ModelConfig read_model_config(const std::filesystem::path& folder);

/// Whether a config.json is of timm's form and not of Hugging Face's.
bool has_timm_form(const nlohmann::ordered_json& config);

}  // namespace eidolon
