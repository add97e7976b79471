// Which collective this process is in: two process-wide counters that the watchdog reads from its own thread.
//
// Ranks make the same collectives in the same order, so the rank with the lowest number is the one that others wait for.
// CUDA collectives finish on the device; a host function on their stream calls finish(), so a rank that is blocked in a
// device synchronisation still counts as inside.
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

/// A collective that blocks: begun when made, ended when it leaves scope.
class Blocking {
 public:
  Blocking() { enter(); }
  ~Blocking() { finish(); }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
};

}  // namespace eidolon::collective_clock
