// The families of networks that are built: one row each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/loading/config.h"
#include "model/network.h"

namespace eidolon {

struct Family {
  std::string name;
  std::string description;                       ///< for messages: "vision transformer"
  bool (*recognises)(const TensorMap& tensors);  ///< by names
  Network (*read)(TensorMap tensors, const ModelConfig& config, const std::string& file);
  std::shared_ptr<const Plan> (*plan_from)(const std::string& facts);
};
const std::vector<Family>& families();

/// The network of the first family that recognises the tensors' names, float32. Its parameters are what the family made of the
/// tensors, and those that it does not know. BadInput, naming `file`, if there is none or if names, shapes and config
/// contradict each other.
Network read_network(TensorMap tensors, const ModelConfig& config, const std::string& file);

/// The plan again from its facts (Plan::facts), as another rank sends them.
std::shared_ptr<const Plan> plan_from(const std::string& facts);

}  // namespace eidolon
