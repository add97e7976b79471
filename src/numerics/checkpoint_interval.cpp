#include "numerics/checkpoint_interval.h"

#include <algorithm>
#include <cmath>

namespace eidolon {

double checkpoint_interval(double cost, double mean_time_between_failures) {
  constexpr double shortest = 10;
  if (cost > mean_time_between_failures / 2) return std::max(mean_time_between_failures, shortest);
  return std::max(std::sqrt(2 * cost * mean_time_between_failures) - cost, shortest);
}

}  // namespace eidolon
