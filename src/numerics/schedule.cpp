#include "numerics/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace eidolon {

double warmup_then_cosine(int64_t step, int64_t total, int64_t warmup) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

double falling_to_the_middle(int section, int sections, double first) {
  return std::pow(first, std::clamp(2.0 - 4.0 * section / sections, 0.0, 1.0));
}

}  // namespace eidolon
