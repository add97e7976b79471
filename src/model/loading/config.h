// A model folder's config.json: what the weights cannot say of themselves.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "model/loading/timm_names.h"
#include "model/preprocessing.h"

namespace eidolon {

/// A number that the config states and the weights must have.
struct StatedNumber {
  std::string what;  ///< "classes", "width", "depth", "hidden width", "image size", "patch size", "channels", ...
  int64_t value = 0;
  std::string field;  ///< where it stands: "pretrained_cfg.input_size"
};

/// The same of a list, one entry per stage.
struct StatedList {
  std::string what;  ///< "depths", "heads"
  std::vector<int64_t> values;
  std::string field;
};

/// How the origin of a Swin's file cuts grids that do not divide into windows (model/families/swin.h).
struct SwinConventions {
  bool rolled_first = false;
  std::string covering = "shrinks";
  bool is_backbone = false;  ///< the file is of a backbone, whose output are the stages' maps
};

struct ModelConfig {
  std::vector<StatedNumber> stated;
  std::vector<StatedList> stated_lists;
  std::string library = "timm";   ///< or "transformers"
  std::string architecture;       ///< timm's name or Hugging Face's model_type
  std::optional<TimmName> named;  ///< what timm's name says where no field does

  std::optional<int64_t> heads, pooling_heads;
  std::optional<double> epsilon, mlp_ratio;
  std::optional<std::string> activation;  ///< VitFacts::activation
  std::optional<std::string> pooling;     ///< timm's: token | avg | map | none; "token and mean" of DINOv2's classifiers
  std::optional<Rotation> rotation;
  std::optional<bool> qkv_bias, pooled_norm, same_padding;
  bool headless = false;              ///< a head, if there is one, is not that of a classifier
  bool gives_embedding = false;       ///< the head makes an embedding, as CLIP's projection does
  bool antialiases_positions = true;  ///< where the library resamples them
  bool resamples_positions = false;   ///< to the image size that the config states
  int64_t image_size = 0;             ///< of the job; 0: as the config and the weights have it
  std::string output = {};            ///< of the job: what features are given; empty: the network's own
  Tensor class_embeddings = {};       ///< of the job: classes x D, each row as long as the temperature's inverse; or undefined

  SwinConventions swin;
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  ///< by class index; empty where the config names none
  std::vector<std::string> refused;      ///< one clause per field that asks for what is not built or is not known
};

/// The first number of that kind that the config states.
std::optional<int64_t> stated(const ModelConfig& config, const std::string& what);

/// timm's form (pretrained_cfg and model_args, or flat) or Hugging Face's (with preprocessor_config.json or
/// processor_config.json). description.json, if there is one, stands above both. Every field is looked up in config_fields():
/// honoured, passed over, or listed in `refused`. Throws BadInput naming the file if there is nothing to read.
ModelConfig read_model_config(const std::filesystem::path& folder);

/// Whether a config.json is of timm's form and not of Hugging Face's.
bool has_timm_form(const nlohmann::ordered_json& config);

}  // namespace eidolon
