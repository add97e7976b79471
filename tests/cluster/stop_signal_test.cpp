#include <gtest/gtest.h>
#include <torch/torch.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "cluster/cluster.h"

namespace eidolon {
namespace {

/// A product of the kind that bf16 steps and layers of few channels compute, and that oneDNN up to 3.11.1 generates with an
/// address of the heap in the stack pointer.
torch::Tensor product(const torch::Tensor& a, const torch::Tensor& b) {
  at::globalContext().setFloat32Precision(at::Float32Backend::MKLDNN, at::Float32Op::MATMUL, at::Float32Precision::BF16);
  return a.mm(b);
}

// Without a thread of their own, one signal in some hundred lands in such a product and changes it or the heap.
TEST(StopSignal, DuringAProductChangesNoNumber) {
  at::set_num_threads(1);
  const torch::Tensor a = torch::randn({136, 96}), b = torch::randn({96, 288});
  const torch::Tensor expected = product(a, b);
  install_stop_signals();
  std::atomic<bool> done = false;
  std::thread sender([&done] {
    while (!done) {
      kill(getpid(), SIGUSR2);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  int changed = 0;
  for (int i = 0; i < 20000; ++i) changed += product(a, b).equal(expected) ? 0 : 1;
  done = true;
  sender.join();
  EXPECT_EQ(changed, 0);
}

TEST(StopSignal, IsBlockedInThreadsThatCompute) {
  install_stop_signals();
  const auto blocks = [](int signal) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, signal) == 1;
  };
  for (const int signal : {SIGUSR2, SIGTERM, SIGINT}) {
    EXPECT_TRUE(blocks(signal)) << signal;
    std::thread([&] { EXPECT_TRUE(blocks(signal)) << signal; }).join();
  }
  EXPECT_FALSE(blocks(SIGSEGV));
}

}  // namespace
}  // namespace eidolon
