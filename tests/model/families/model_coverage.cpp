// model_coverage < HEADERS: for every line that scripts/references/model_headers.py writes, one line of JSON that says whether
// such a model is read: {"library", "name", "family"} or {"library", "name", "missing"}. Tensors have shapes and no values.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/loading/key_mapping.h"
#include "model/loading/teacher.h"

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json verdict_on(const json& model, const fs::path& folder) {
  json verdict{{"library", model.at("library")}, {"name", model.at("name")}};
  std::ofstream(folder / "config.json") << model.at("config");
  fs::remove(folder / "preprocessor_config.json");
  if (!model.at("processor").is_null()) std::ofstream(folder / "preprocessor_config.json") << model.at("processor");
  eidolon::TensorMap tensors;
  for (const auto& [name, shape] : model.at("tensors").items()) {
    const auto sizes = shape.get<std::vector<int64_t>>();
    tensors[name] = sizes.empty() ? at::zeros({}) : at::zeros({1}).expand(sizes);
  }
  try {
    eidolon::ModelConfig config = eidolon::read_model_config(folder);
    if (config.named && !config.named->missing.empty()) throw eidolon::BadInput(std::string(config.named->missing));
    for (const char* start : {"model_type", ""}) {  // the family tells more than the fields that it has
      for (const std::string& refused : config.refused) {
        if (refused.starts_with(start)) throw eidolon::BadInput(refused);
      }
    }
    auto named = eidolon::to_timm_names(tensors, "model.safetensors");
    config.swin = named.swin;
    verdict["family"] = checked_network(std::move(named.tensors), config, "model.safetensors", folder).plan->family;
  } catch (const eidolon::BadInput& error) {
    verdict["missing"] = error.what();
  }
  return verdict;
}

}  // namespace

int main() {
  const at::NoGradGuard no_gradients;
  const fs::path folder = fs::temp_directory_path() / ("eidolon-coverage-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  for (std::string line; std::getline(std::cin, line);) {
    const json model = json::parse(line);
    try {
      std::cout << verdict_on(model, folder).dump() << '\n' << std::flush;
    } catch (const std::exception& error) {
      std::cout << json{{"library", model.at("library")}, {"name", model.at("name")}, {"failed", error.what()}}.dump() << '\n'
                << std::flush;
    }
  }
  fs::remove_all(folder);
  return 0;
}
