// The cores this process may run on.
#pragma once

#include <vector>

namespace eidolon {

/// Numbers of the logical CPUs in the affinity mask, ascending; never empty. mpirun binds each of two ranks to one core.
std::vector<int> affinity_mask();

}  // namespace eidolon
