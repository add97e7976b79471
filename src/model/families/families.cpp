#include "model/families/families.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/families/vit.h"

namespace eidolon {

const std::vector<Family>& families() {
  static const std::vector<Family> all{
      {.name = "vit",
       .description = "ViT or DeiT",
       .recognises = looks_like_vit,
       .plan_of = [](const TensorMap& tensors, const ModelConfig& config,
                     const std::string& file) { return vit_plan(vit_facts(tensors, config, file)); },
       .plan_from = vit_plan_from},
  };
  return all;
}

std::shared_ptr<const Plan> plan_of(const TensorMap& tensors, const ModelConfig& config, const std::string& file) {
  std::string built;
  for (const Family& family : families()) {
    if (family.recognises(tensors)) return family.plan_of(tensors, config, file);
    built += (built.empty() ? "" : " or ") + family.description;
  }
  throw BadInput(file + ": the names of its parameters ('" + (tensors.empty() ? "" : tensors.begin()->first) +
                 "', ...) are not those of a " + built + " with timm or Hugging Face names");
}

std::shared_ptr<const Plan> plan_from(const std::string& facts) {
  const std::string name = nlohmann::json::parse(facts).at("family");
  for (const Family& family : families()) {
    if (family.name == name) return family.plan_from(facts);
  }
  throw Fault("a plan of family '" + name + "' was received, which this build does not have; run every rank from one build");
}

}  // namespace eidolon
