// Two process-wide counters of the collectives begun and finished. The watchdog thread reads them.
//
// All ranks make the same collectives in the same order, so the others wait for the rank with the lowest count. CUDA
// collectives finish on the device: a host function on their stream calls finish(). A rank that is blocked in a device
// synchronisation so still counts as inside.
#pragma once

#include <atomic>
#include <cstdint>

namespace eidolon::collective_clock {

inline std::atomic<int64_t> entered_count{0};
inline std::atomic<int64_t> finished_count{0};

/// Counts a collective that begins. Returns its number, from 1.
inline int64_t enter() {
  return ++entered_count;
}
/// Counts a collective that has ended.
inline void finish() {
  ++finished_count;
}
/// The number of the newest collective that has begun.
inline int64_t entered() {
  return entered_count;
}
inline int64_t finished() {
  return finished_count;
}
inline bool inside() {
  return entered() > finished();
}

/// Counts a blocking collective, from construction to destruction.
class Blocking {
 public:
  Blocking() { enter(); }
  ~Blocking() { finish(); }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
};

}  // namespace eidolon::collective_clock
