// When the next checkpoint is due.
#pragma once

#include <functional>

#include "job/job.h"
#include "stages/stopwatch.h"

namespace eidolon {

/// Every run.checkpoint_seconds; if that is auto, so often that checkpoints and lost work cost least together, from the time
/// the last one took.
class CheckpointClock {
 public:
  explicit CheckpointClock(const RunJob& job) : job_(job) {}
  bool due() const { return since_.seconds() > interval(); }
  double interval() const;  ///< seconds

  /// Does `write`, measures it and starts anew.
  void take(const std::function<void()>& write);

 private:
  const RunJob& job_;
  Stopwatch since_;
  double cost_ = 0.05;  ///< seconds; until one was measured
};

}  // namespace eidolon
