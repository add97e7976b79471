#include "finetuning/best_so_far.h"

#include <string>

#include "base/error.h"

namespace eidolon {
namespace {

const std::string prefix = "best/";
const std::string loss_name = "best_loss";

}  // namespace

void BestSoFar::offer(double loss, const TensorMap& tensors) {
  if (loss_ && !(loss < *loss_)) return;
  loss_ = loss;
  tensors_.clear();
  for (const auto& [name, tensor] : tensors) tensors_[name] = tensor.detach().clone();
}

TensorMap BestSoFar::state() const {
  if (!loss_) return {};
  TensorMap state{{loss_name, at::scalar_tensor(*loss_, at::kDouble)}};
  for (const auto& [name, tensor] : tensors_) state[prefix + name] = tensor;
  return state;
}

void BestSoFar::restore(const TensorMap& state) {
  const auto loss = state.find(loss_name);
  if (loss == state.end() || loss->second.numel() != 1)
    throw Fault("the checkpoint lacks '" + loss_name + "'; remove it and run again");
  loss_ = loss->second.item<double>();
  for (auto& [name, tensor] : tensors_) {
    const auto found = state.find(prefix + name);
    if (found == state.end() || found->second.sizes() != tensor.sizes())
      throw Fault("the checkpoint's '" + prefix + name + "' is missing or has another shape; remove it and run again");
    tensor = found->second.clone();
  }
}

}  // namespace eidolon
