#include <csignal>
#include <cstring>

#include "base/error.h"
#include "cluster/cluster.h"
#include "cluster/heartbeat_file.h"

namespace eidolon {
namespace {

volatile std::sig_atomic_t signalled = 0;

extern "C" void on_stop_signal(int) {
  signalled = 1;
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;  // a signal must not break a write of HDF5 or a read of MPI
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGUSR2, SIGTERM}) {
    if (sigaction(signal, &action, nullptr) != 0) throw Fault(std::string("sigaction failed: ") + std::strerror(errno));
  }
}

bool Cluster::stop_requested() const {
  return communicator.spread_stop(signalled != 0 || unix_seconds() >= stop_at);
}

bool Cluster::agree_to_stop() const {
  return communicator.max(stop_requested() ? 1 : 0) != 0;
}

}  // namespace eidolon
