// Signs of life: a count of finished pieces of work of this process. A rank whose count stands still while others wait for it
// hangs; one whose count grows is only slow. The watchdogs of the other ranks read it from this rank's heartbeat.
#pragma once

#include <atomic>
#include <cstdint>

namespace eidolon {

inline std::atomic<int64_t> pulse_count{0};

/// Call it wherever seconds of work end: a block's forward pass, a verified file.
inline void pulse() {
  pulse_count.fetch_add(1, std::memory_order_relaxed);
}

inline int64_t pulses() {
  return pulse_count.load(std::memory_order_relaxed);
}

}  // namespace eidolon
