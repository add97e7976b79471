#include "stages/checkpoint_clock.h"

#include "numerics/checkpoint_interval.h"

namespace eidolon {

double CheckpointClock::interval() const {
  return job_.checkpoint_seconds ? *job_.checkpoint_seconds : checkpoint_interval(cost_, job_.failure_hours * 3600);
}

void CheckpointClock::take(const std::function<void()>& write) {
  const Stopwatch watch;
  write();
  cost_ = watch.seconds();
  since_.restart();
}

}  // namespace eidolon
