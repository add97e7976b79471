#include "finetuning/prefix.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "numerics/product_precision.h"
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
               const CacheBudget& budget)
    : model_(model), tap_(std::move(tap)), images_(images), preprocessing_(preprocessing), budget_(budget) {}

int64_t Prefix::bytes_in_front_of(int section) const {
  const int64_t elements = model_.plan->sections[static_cast<size_t>(section) - 1].elements();
  return images_.size() * elements * static_cast<int64_t>(sizeof(float));
}

/// The last section up to this one whose input the budget holds, whatever was kept before; 0: none.
int Prefix::last_kept(int section) const {
  if (images_.size() == 0) return 0;
  while (section > 0 && bytes_in_front_of(section) > budget_.in_all) --section;
  return section;
}

/// From what is kept, or from the images.
Tensor Prefix::computed(const Tensor& numbers, int to_section) const {
  Tensor input = kept_.defined() ? sent_to(model_.device(), kept_.index_select(0, sent_to(kept_.device(), numbers)))
                                 : normalise(preprocessing_, sent_to(model_.device(), images_.bytes.index_select(0, numbers)));
  for (int section = kept_section_; section < to_section; ++section) input = forward_section(model_, section, input, tap_);
  return input;
}

void Prefix::keep(int section) {
  const at::Device place = bytes_in_front_of(section) <= budget_.on_device ? model_.device() : at::Device(at::kCPU);
  Tensor next = kept_;
  for (int64_t first = 0; first < images_.size(); first += chunk) {
    const int64_t count = std::min(chunk, images_.size() - first);
    const Tensor part = computed(at::arange(first, first + count, at::kLong), section);
    // In place, chunk by chunk, where outputs have the shape of inputs.
    const bool fits = next.defined() && next.sizes().slice(1) == part.sizes().slice(1) && next.device() == place;
    if (!fits) next = at::empty(with_first(part.sizes(), images_.size()), part.options().device(place));
    next.narrow(0, first, count).copy_(part);
  }
  kept_ = next;
  kept_section_ = section;
}

void Prefix::advance_to(int section) {
  at::NoGradGuard no_grad;
  const int kept = last_kept(section);
  if (kept > 0 && !(kept_.defined() && kept == kept_section_)) keep(kept);
  section_ = section;
}

int64_t Prefix::kept_bytes() const {
  return kept_.defined() ? static_cast<int64_t>(kept_.nbytes()) : 0;
}

void Prefix::forget() {
  kept_ = Tensor();
  kept_section_ = 0;
}

Tensor Prefix::rows(const Tensor& numbers) const {
  at::NoGradGuard no_grad;
  const ProductPrecision exact("fp32");
  return computed(numbers, section_);
}

}  // namespace eidolon
