#include "cluster/affinity.h"

#include <sched.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "base/error.h"

namespace eidolon {

std::vector<int> affinity_mask() {
  // The kernel refuses (EINVAL) a mask shorter than its own, whose length it does not tell.
  for (int limit = CPU_SETSIZE; limit <= (1 << 20); limit *= 2) {
    const auto free_set = [](cpu_set_t* set) { CPU_FREE(set); };
    const std::unique_ptr<cpu_set_t, decltype(free_set)> set(CPU_ALLOC(limit), free_set);
    const std::size_t bytes = CPU_ALLOC_SIZE(limit);
    if (!set) break;
    CPU_ZERO_S(bytes, set.get());
    if (sched_getaffinity(0, bytes, set.get()) == 0) {
      std::vector<int> cpus;
      for (int cpu = 0; cpu < limit; ++cpu) {
        if (CPU_ISSET_S(cpu, bytes, set.get())) cpus.push_back(cpu);
      }
      return cpus;
    }
    if (errno != EINVAL) break;
  }
  throw Fault(std::string("sched_getaffinity failed: ") + std::strerror(errno));
}

}  // namespace eidolon
