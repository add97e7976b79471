// misbehaving_rank <stop|sleep|die|throw|slow|none> <heartbeat folder> <collective>: rank 1 misbehaves just before a collective
// that the others enter. The deadline of the watchdog is 2 s.
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/error.h"
#include "base/pulse.h"
#include "cluster/cluster.h"
#include "cluster/launch/launch.h"
#include "cluster/liveness/heartbeat.h"
#include "cluster/log.h"
#include "cluster/mpi/session.h"

using namespace eidolon;

namespace {

void misbehave(const std::string& how) {
  if (how == "stop") std::raise(SIGSTOP);
  if (how == "sleep") sleep(100);
  if (how == "die") std::raise(SIGKILL);
  if (how == "throw") throw Fault("rank 1 gave up");
  for (int i = 0; how == "slow" && i < 80; ++i) {  // three deadlines long
    usleep(100'000);
    pulse();
  }
}

void join(const std::string& collective, const Communicator& communicator) {
  Tensor tensor = at::ones({1000});
  if (collective == "sum") communicator.all_reduce_sum(tensor);
  if (collective == "started_sum") communicator.start_all_reduce_sum(tensor).wait();
  if (collective == "broadcast") communicator.broadcast(tensor, 1);
  if (collective == "barrier") communicator.barrier();
  if (collective == "patient_barrier") communicator.barrier([] {});
  if (collective == "max") communicator.max(1);
  if (collective == "number_sum") communicator.sum(1);
  if (collective == "broadcast_text") communicator.broadcast_text("text", 1);
  if (collective == "gather_texts") communicator.gather_texts("text");
}

void run(int argc, char** argv) {
  const MpiSession session(&argc, &argv);
  if (argc != 4) throw BadInput("usage: misbehaving_rank <stop|sleep|die|throw|slow|none> <heartbeat folder> <collective>");
  const Communicator communicator = Communicator::world();
  Heartbeat heartbeat(argv[2], communicator.rank(), communicator.size(), 2.0);
  heartbeat.set({"test", "step 1"});
  communicator.barrier();
  if (communicator.rank() == 1) misbehave(argv[1]);
  join(argv[3], communicator);
  if (communicator.rank() == 0) std::printf("all came\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const Error& error) {
    log::error(error.what());
    end_launch(error.code());
  }
}
