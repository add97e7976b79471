#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "cluster/cluster.h"

namespace eidolon {
namespace {

// mpirun forwards a signal to all ranks: every rank sends words that no rank looks for. The program must still end, and a
// later communicator must not hear them.
TEST(StopNotification, ThatNobodyReceivedDoesNotHangTheEnd) {
  install_stop_signals();
  const Communicator later = Communicator::world();
  {
    const Cluster cluster{Communicator::world(), {}};
    kill(getpid(), SIGTERM);
    while (!cluster.stop_requested()) std::this_thread::yield();  // the thread of the signals hears of it first
  }
  EXPECT_FALSE(later.spread_stop(false));
  later.barrier();
}

// One rank alone is heard by agree_to_stop, in the same call, on every rank.
TEST(StopNotification, IsAgreedUponAtOnce) {
  const Communicator communicator = Communicator::world();
  const bool mine = communicator.rank() == 0;
  EXPECT_EQ(communicator.max(communicator.spread_stop(mine) ? 1 : 0), 1);
}

}  // namespace
}  // namespace eidolon
