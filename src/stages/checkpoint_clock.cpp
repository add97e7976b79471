#include "stages/checkpoint_clock.h"

#include "numerics/checkpoint_interval.h"

namespace eidolon {
namespace {

constexpr double seconds_between_failures = 24.0 * 3600;  ///< assumed mean time between unannounced ends of a run

}  // namespace

double CheckpointClock::interval() const {
  return job_.checkpoint_seconds.value_or(checkpoint_interval(cost_, seconds_between_failures));
}

void CheckpointClock::take(const std::function<void()>& write) {
  const Stopwatch watch;
  write();
  cost_ = watch.seconds();
  since_.restart();
}

}  // namespace eidolon
