// What all ranks do after a training step.
#pragma once

#include <cstdint>

#include "cluster/cluster.h"
#include "stages/checkpoint_clock.h"
#include "stages/stopwatch.h"

namespace eidolon {

inline constexpr int64_t most_steps_apart = 10;  ///< of two agreements

/// The largest wish of any rank is everybody's.
enum class AfterStep : int64_t { go_on = 0, checkpoint = 1, checkpoint_and_stop = 2 };

/// Every how many steps ranks agree on what to do. A message that all wait for after every step would keep hosts from running
/// ahead of their devices. Between agreements lies the number of steps that the slowest rank takes in half a second, and
/// most_steps_apart at most.
class Agreements {
 public:
  /// Both must outlive it. The clock of rank 0 counts.
  Agreements(const Cluster& cluster, const CheckpointClock& clock) : cluster_(cluster), clock_(clock) {}

  /// After every step. Collective where it agrees.
  AfterStep after_step(bool must_agree);

 private:
  AfterStep agreed_next() const;

  const Cluster& cluster_;
  const CheckpointClock& clock_;
  int64_t steps_ = 0, distance_ = 1;
  Stopwatch watch_;
};

}  // namespace eidolon
