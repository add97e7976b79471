#include "cluster/collective_clock.h"

#include <atomic>

namespace eidolon::collective_clock {
namespace {
std::atomic<int64_t> entered_count{0};
std::atomic<int64_t> finished_count{0};
}  // namespace

int64_t enter() {
  return ++entered_count;
}
void finish() {
  ++finished_count;
}
int64_t entered() {
  return entered_count;
}
int64_t finished() {
  return finished_count;
}

}  // namespace eidolon::collective_clock
