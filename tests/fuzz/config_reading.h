// Reads a model folder's config files and holds what is not refused to what preparing a photograph takes for granted.
#pragma once

#include <algorithm>
#include <cmath>

#include "model/loading/config.h"
#include "tests/fuzz/reading.h"

namespace eidolon::fuzz {

inline int read_config(uint64_t size) {
  ModelConfig config;
  if (!reads(size, [&] { config = read_model_config(scratch()); }) || !config.refused.empty()) return 0;
  const Preprocessing& p = config.preprocessing;
  const auto is_finite = [](double value) { return std::isfinite(value); };
  const bool sound = p.image_size >= 0 && p.crop_pct >= 0.05 && p.crop_pct <= 20 && !p.mean.empty() &&
                     p.mean.size() == p.std.size() && std::ranges::all_of(p.mean, is_finite) &&
                     std::ranges::all_of(p.std, [&](double value) { return is_finite(value) && value > 0; });
  if (!sound) __builtin_trap();
  return 0;
}

}  // namespace eidolon::fuzz
