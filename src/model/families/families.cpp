#include "model/families/families.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "model/families/cnn.h"
#include "model/families/swin.h"
#include "model/families/vit.h"

namespace eidolon {

const std::vector<Family>& families() {
  static const std::vector<Family> all{
      {.name = "cnn",
       .description = "convolutional network with BatchNorm",
       .recognises = looks_like_cnn,
       .read = read_cnn,
       .plan_from = cnn_plan_from},
      {.name = "swin",
       .description = "Swin transformer",
       .recognises = looks_like_swin,
       .read = read_swin,
       .plan_from = swin_plan_from},
      {.name = "vit",
       .description = "vision transformer",
       .recognises = looks_like_vit,
       .read = read_vit,
       .plan_from = vit_plan_from},
  };
  return all;
}

Network read_network(TensorMap tensors, const ModelConfig& config, const std::string& file) {
  std::string built;
  for (const Family& family : families()) {
    if (family.recognises(tensors)) {
      try {
        return family.read(std::move(tensors), config, file);
      } catch (const c10::Error& error) {
        throw BadInput(file + ": the shapes of its parameters do not fit each other: " + error.what_without_backtrace());
      }
    }
    built += (built.empty() ? "" : ", ") + family.description;
  }
  throw BadInput(file + ": the names of its parameters ('" + (tensors.empty() ? "" : tensors.begin()->first) +
                 "', ...) are not those of a " + built + "; docs/reference/models.md says whose names are read");
}

std::shared_ptr<const Plan> plan_from(const std::string& facts) {
  const std::string name = nlohmann::json::parse(facts).at("family");
  for (const Family& family : families()) {
    if (family.name == name) return family.plan_from(facts);
  }
  throw Fault("a plan of family '" + name + "' was received, which this build does not have; run every rank from one build");
}

}  // namespace eidolon
