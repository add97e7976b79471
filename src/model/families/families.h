// The families of networks that are built: one row each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/loading/config.h"
#include "model/plan.h"

namespace eidolon {

struct Family {
  std::string name;
  std::string description;                       ///< for messages: "ViT or DeiT"
  bool (*recognises)(const TensorMap& tensors);  ///< by names
  std::shared_ptr<const Plan> (*plan_of)(const TensorMap& tensors, const ModelConfig& config, const std::string& file);
  std::shared_ptr<const Plan> (*plan_from)(const std::string& facts);
};
const std::vector<Family>& families();

/// The plan of the first family that recognises the tensors' names. BadInput, naming `file`, if there is none or if names,
/// shapes and config contradict each other.
std::shared_ptr<const Plan> plan_of(const TensorMap& tensors, const ModelConfig& config, const std::string& file);

/// The plan again from its facts (Plan::facts), as another rank sends them.
std::shared_ptr<const Plan> plan_from(const std::string& facts);

}  // namespace eidolon
