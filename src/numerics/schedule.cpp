#include "numerics/schedule.h"

#include <cmath>
#include <numbers>

namespace eidolon {

double warmup_then_cosine(int64_t step, int64_t total, int64_t warmup) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

}  // namespace eidolon
