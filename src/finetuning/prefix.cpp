#include "finetuning/prefix.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "numerics/transfer.h"

namespace eidolon {
namespace {

constexpr int64_t chunk = 16;  ///< images per forward pass

std::vector<int64_t> with_first(at::IntArrayRef shape, int64_t first) {
  std::vector<int64_t> changed = shape.vec();
  changed[0] = first;
  return changed;
}

}  // namespace

Prefix::Prefix(const Network& model, Tap tap, const SyntheticImages& images, const Preprocessing& preprocessing,
               int64_t budget_bytes)
    : model_(model), tap_(std::move(tap)), images_(images), preprocessing_(preprocessing), budget_bytes_(budget_bytes) {}

Tensor Prefix::compute(const Tensor& numbers, int to_section) const {
  Tensor input = normalise(preprocessing_, sent_to(model_.device(), images_.bytes.index_select(0, numbers)));
  for (int section = 0; section < to_section; ++section) input = forward_section(model_, section, input, tap_);
  return input;
}

void Prefix::advance_to(int section) {
  at::NoGradGuard no_grad;
  const int64_t elements = section > 0 ? model_.plan->sections[static_cast<size_t>(section) - 1].elements() : 0;
  const int64_t bytes = images_.size() * elements * static_cast<int64_t>(sizeof(float));
  const bool stays = kept_.defined() && section == section_;
  if (section > 0 && bytes <= budget_bytes_ && images_.size() > 0 && !stays) {
    Tensor next = kept_;
    for (int64_t first = 0; first < images_.size(); first += chunk) {
      const int64_t count = std::min(chunk, images_.size() - first);
      Tensor part;
      if (kept_.defined()) {
        part = kept_.narrow(0, first, count);
        for (int s = section_; s < section; ++s) part = forward_section(model_, s, part, tap_);
      } else {
        part = compute(at::arange(first, first + count, at::kLong), section);
      }
      // In place, chunk by chunk, where outputs have the shape of inputs.
      const bool fits = next.defined() && next.sizes().slice(1) == part.sizes().slice(1);
      if (!fits) next = at::empty(with_first(part.sizes(), images_.size()), part.options());
      next.narrow(0, first, count).copy_(part);
    }
    kept_ = next;
  }
  section_ = section;
}

int64_t Prefix::kept_bytes() const {
  return kept_.defined() ? static_cast<int64_t>(kept_.nbytes()) : 0;
}

void Prefix::forget() {
  kept_ = Tensor();
}

Tensor Prefix::rows(const Tensor& numbers) const {
  at::NoGradGuard no_grad;
  if (kept_.defined()) return kept_.index_select(0, sent_to(kept_.device(), numbers));
  return compute(numbers, section_);
}

}  // namespace eidolon
