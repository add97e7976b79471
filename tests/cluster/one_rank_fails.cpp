// Must fail: see CMakeLists.txt.
#include <gtest/gtest.h>

#include "cluster/communicator.h"

namespace eidolon {

TEST(Harness, HearsOfAFailureOnTheLastRank) {
  const Communicator communicator = Communicator::world();
  EXPECT_NE(communicator.rank(), communicator.size() - 1) << "on purpose";
  communicator.barrier();
}

}  // namespace eidolon
