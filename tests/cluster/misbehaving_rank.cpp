// misbehaving_rank <stop|sleep|die|throw|none> <heartbeat folder>: a program of a few collectives in which rank 1 misbehaves.
// The deadline of the watchdog is 2 s.
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/error.h"
#include "cluster/cluster.h"
#include "cluster/heartbeat.h"
#include "cluster/log.h"

using namespace eidolon;

namespace {

void misbehave(const std::string& how) {
  if (how == "stop") std::raise(SIGSTOP);
  if (how == "sleep") sleep(100);
  if (how == "die") std::raise(SIGKILL);
  if (how == "throw") throw Fault("rank 1 gave up");
}

void run(int argc, char** argv) {
  const MpiSession session(&argc, &argv);
  if (argc != 3) throw BadInput("usage: misbehaving_rank <stop|sleep|die|throw|none> <heartbeat folder>");
  const Communicator communicator = Communicator::world();
  Heartbeat heartbeat(argv[2], communicator.rank(), communicator.size(), 2.0);
  heartbeat.set({"test", "step 1"});
  communicator.barrier();
  if (communicator.rank() == 1) misbehave(argv[1]);
  Tensor tensor = at::ones({1000});
  communicator.all_reduce_sum(tensor);
  if (communicator.rank() == 0) std::printf("sum %g\n", tensor.sum().item<double>());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const Error& error) {
    log::error(error.what());
    return static_cast<int>(error.code());
  }
}
