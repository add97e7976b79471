#include "stages/agreements.h"

#include <algorithm>

namespace eidolon {
namespace {

constexpr double interval = 0.5;  ///< seconds of training after which a stop is heard, where steps are shorter

}  // namespace

AfterStep Agreements::agreed_next() const {
  auto wish = AfterStep::go_on;
  if (cluster_.is_root() && clock_.due()) wish = AfterStep::checkpoint;
  if (cluster_.stop_requested()) wish = AfterStep::checkpoint_and_stop;
  return static_cast<AfterStep>(cluster_.communicator.max(static_cast<int64_t>(wish)));
}

AfterStep Agreements::after_step(bool must_agree) {
  if (++steps_ < distance_ && !must_agree) return AfterStep::go_on;
  const double in_interval = interval * static_cast<double>(steps_) / std::max(watch_.seconds(), 1e-6);
  const auto wanted = static_cast<int64_t>(std::clamp(in_interval, 1.0, static_cast<double>(most_steps_apart)));
  distance_ = -cluster_.communicator.max(-wanted);
  steps_ = 0;
  watch_.restart();
  return agreed_next();
}

}  // namespace eidolon
