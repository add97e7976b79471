// A network written as a model folder again: the files and names by which timm or transformers loads it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/preprocessing.h"

namespace eidolon {

struct PublishedFolder {
  std::string library;               ///< that loads it: "timm" (or transformers, by its wrapper of timm) or "transformers"
  std::string architecture;          ///< as the library names it
  nlohmann::ordered_json config;     ///< config.json
  nlohmann::ordered_json processor;  ///< preprocessor_config.json; null where no processor of transformers does the same

  /// The library's names of a parameter that is timm's NAME here: one, or several that hold equal shares of its rows.
  std::vector<std::string> (*names)(const std::string& timm_name) = nullptr;
};

/// The folder of a network with its teacher's architecture. `teacher_config` is the text of the teacher's config.json, which
/// read_model_config() took.
PublishedFolder published_folder(const std::string& teacher_config, int64_t classes, const Preprocessing& preprocessing);

}  // namespace eidolon
