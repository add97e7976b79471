#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "cluster/cluster.h"
#include "cluster/heartbeat_file.h"

namespace eidolon {
namespace {

volatile std::sig_atomic_t signalled = 0;

extern "C" void on_stop_signal(int) {
  signalled = 1;
}

/// Somebody at a terminal waits: say that the key was heard. write() is all that a handler may call.
extern "C" void on_interrupt(int) {
  constexpr std::string_view heard = "\nstopping at the next safe point; Ctrl-C again ends at once\n";
  const int error = errno;
  signalled = 1;
  if (::write(STDERR_FILENO, heard.data(), heard.size()) < 0) signalled = 1;  // nobody is there to read it
  errno = error;
}

void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | flags;  // a signal must not break a write of HDF5 or a read of MPI
  sigemptyset(&action.sa_mask);
  if (sigaction(signal, &action, nullptr) != 0) throw Fault(std::string("sigaction failed: ") + std::strerror(errno));
}

/// A shell starts what it runs in the background so; such a process is not meant by the Ctrl-C for another.
bool is_ignored(int signal) {
  struct sigaction before {};
  return sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN;
}

}  // namespace

void install_stop_signals() {
  for (const int signal : {SIGUSR2, SIGTERM}) handle(signal, on_stop_signal, 0);
  if (!is_ignored(SIGINT)) handle(SIGINT, on_interrupt, SA_RESETHAND);
}

bool Cluster::stop_requested() const {
  return communicator.spread_stop(signalled != 0 || unix_seconds() >= stop_at);
}

bool Cluster::agree_to_stop() const {
  return communicator.max(stop_requested() ? 1 : 0) != 0;
}

}  // namespace eidolon
