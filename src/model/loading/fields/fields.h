// Every field of a model folder that is known, and what is done with it. The reader (config.cpp) walks this list, and
// docs/reference/model_folder.md is printed from it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/loading/config.h"

namespace eidolon {

/// What the fields of a Hugging Face processor say together; they start as the processor's class has them.
struct Processor {
  bool does_resize = true, does_crop = false, does_rescale = true, does_normalize = true;
  bool keeps_aspect = false;             ///< size.shortest_edge instead of height and width
  bool whole_number_is_a_square = true;  ///< how the class reads "size": 224
  int64_t side = 224, crop = 0;          ///< 0: not stated, and the class has none
  int64_t resample = 2;                  ///< Pillow's number of a filter
  double rescale_factor = 1.0 / 255.0;
  std::vector<double> mean{0.5, 0.5, 0.5}, std{0.5, 0.5, 0.5};  ///< one entry stands for all channels
  double share = 0;  ///< of the resized side that ConvNext's processor cuts out; 0: of the others
};

/// What has been read so far.
struct Reading {
  ModelConfig config;
  Processor processor;
  bool states_width = false;       ///< model_args.embed_dim
  bool states_channels = false;    ///< model_args.in_chans, which timm lets override input_size
  bool states_image_size = false;  ///< model_args.img_size
  bool rotates = false;            ///< model_args.use_rot_pos_emb
  Rotation rotation = {};          ///< what the fields of one say together
  bool has_silu_gate = false;      ///< use_swiglu_ffn
  int64_t default_heads = 12;      ///< of a family whose width is not stated either
  std::string task = {};           ///< Hugging Face's architectures[0]
  bool has_fixed_input_size = false;
};

enum class Form { timm, pretrained_cfg, model_args, hugging_face, processor, description };
enum class Treatment { honoured, restricted, silent };

struct Field {
  Form form;
  std::string name;
  Treatment treatment;
  std::string text;                                                ///< for the reference
  std::vector<std::string> values = {};                            ///< of a restricted field: JSON of the values that are built
  std::function<void(const nlohmann::json&, Reading&)> read = {};  ///< of an honoured field; BadInput has the cause alone
};

const std::vector<Field>& config_fields();

/// The class that a processor's *_type names: what its fields are where the file is silent. Nothing for a class not built.
std::optional<Processor> processor_of_class(const std::string& name);

/// The fields as Markdown, in the order of the list.
std::string config_fields_as_markdown();

}  // namespace eidolon
