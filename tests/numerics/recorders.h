// Devices that record work, as tests need them: without a device.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>

#include "numerics/device_graph.h"

namespace eidolon::testing {

using Work = std::function<void()>;

/// Steps of a StepGraph: three plain ones, the recorded one and the one that is computed in both ways.
inline constexpr int64_t before_replays = 5;

/// A device whose replays carry out the work.
inline Replay faithful(const Work& work) {
  work();
  return work;
}

/// A device that cannot record.
inline Replay refusing(const Work& work) {
  work();
  throw std::runtime_error("operation not permitted\nwhile recording");
}

/// A device whose replays do nothing, so that the recording's numbers stay.
inline Replay idle(const Work& work) {
  work();
  return [] {};
}

/// A device on which the first replay fails.
inline Replay breaking(const Work&) {
  return [] { throw std::runtime_error("out of memory"); };
}

}  // namespace eidolon::testing
