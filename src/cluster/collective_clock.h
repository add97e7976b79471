// Which collective this process is in: two process-wide counters that the watchdog reads from its own thread.
//
// Ranks make the same collectives in the same order, so the rank with the lowest number is the one that others wait for.
// CUDA collectives finish on the device; a host function on their stream calls finish(), so a rank that is blocked in a
// device synchronisation still counts as inside.
#pragma once

#include <cstdint>

namespace eidolon::collective_clock {

int64_t enter();    ///< one more collective has begun; its number, from 1
void finish();      ///< one of those begun has ended
int64_t entered();  ///< the number of the newest
int64_t finished();
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
