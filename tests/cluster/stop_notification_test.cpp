#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "cluster/cluster.h"

namespace eidolon {
namespace {

// The last rank is signalled; the others hear of it without a collective. The limit only keeps a failure from hanging.
bool hears_of_the_stop(const Cluster& cluster) {
  for (int attempt = 0; attempt < 3000; ++attempt) {
    if (cluster.stop_requested()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(StopNotification, OfOneRankReachesAll) {
  install_stop_signals();
  const Cluster cluster{Communicator::world(), {}};
  EXPECT_FALSE(cluster.stop_requested());
  EXPECT_FALSE(cluster.agree_to_stop());
  if (cluster.rank() == cluster.size() - 1) kill(getpid(), SIGUSR2);
  EXPECT_TRUE(hears_of_the_stop(cluster));
  EXPECT_TRUE(cluster.stop_requested());
  EXPECT_TRUE(cluster.agree_to_stop());
}

}  // namespace
}  // namespace eidolon
