#include "cluster/stop_notification.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "cluster/cluster.h"
#include "cluster/liveness/heartbeat.h"
#include "cluster/mpi/session.h"

namespace eidolon {
namespace {

constexpr int stop_tag = 7;

volatile std::sig_atomic_t signalled = 0;

extern "C" void on_stop_signal(int) {
  signalled = 1;
}

/// Confirms Ctrl-C to the user at the terminal. Of the output functions a handler may call only write().
extern "C" void on_interrupt(int) {
  constexpr std::string_view heard = "\nstopping at the next safe point; Ctrl-C again ends at once\n";
  const int error = errno;
  signalled = 1;
  if (::write(STDERR_FILENO, heard.data(), heard.size()) < 0) signalled = 1;  // stderr is closed; nothing else to do
  errno = error;
}

void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | flags;  // a signal must not interrupt a write of HDF5 or a read of MPI
  sigemptyset(&action.sa_mask);
  if (sigaction(signal, &action, nullptr) != 0) throw Fault(std::string("sigaction failed: ") + std::strerror(errno));
}

/// A shell ignores SIGINT in its background processes, since Ctrl-C is meant for the foreground. That is left as it is.
bool is_ignored(int signal) {
  struct sigaction before {};
  return sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN;
}

/// From here on a thread that only sleeps takes the signals, and no other thread is interrupted by them. The kernel writes
/// a signal's frame below the stack pointer of the thread that it interrupts. Products that oneDNN generates up to 3.11.1
/// keep an address of the heap in that register, so that a signal during one overwrites numbers or the allocator's lists
/// (https://github.com/uxlfoundation/oneDNN/issues/4845).
void leave_signals_to_their_own_thread(const sigset_t& signals) {
  std::thread([signals] {
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    while (true) ::pause();
  }).detach();
  const int error = pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // threads made later inherit this
  if (error != 0) throw Fault(std::string("pthread_sigmask failed: ") + std::strerror(error));
}

}  // namespace

bool StopNotification::spread(bool requested_here) {
  if (stopping_) return true;
  if (requested_here) {
    notify_others();
  } else if (size_ > 1) {
    receive();
  }
  return stopping_;
}

void StopNotification::notify_others() {
  stopping_ = true;
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    sends_.push_back(MPI_REQUEST_NULL);
    mpi_check(MPI_Isend(&message_, 1, MPI_CHAR, other, stop_tag, control_, &sends_.back()), "MPI_Isend");
  }
}

void StopNotification::receive() {
  int waiting = 0;
  MPI_Status status;
  mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, stop_tag, control_, &waiting, &status), "MPI_Iprobe");
  if (waiting == 0) return;
  char message = 0;
  mpi_check(MPI_Recv(&message, 1, MPI_CHAR, status.MPI_SOURCE, stop_tag, control_, MPI_STATUS_IGNORE), "MPI_Recv");
  received_from_ = status.MPI_SOURCE;
  stopping_ = true;
}

// All ranks first agree on who has sent, so that every message is received exactly once. A message that is not received
// could hang MPI_Finalize.
void StopNotification::drain() {
  const char sent = sends_.empty() ? 0 : 1;
  std::vector<char> all_sent(size_);
  mpi_check(MPI_Allgather(&sent, 1, MPI_CHAR, all_sent.data(), 1, MPI_CHAR, control_), "MPI_Allgather");
  for (int other = 0; other < size_; ++other) {
    if (all_sent[other] == 0 || other == rank_ || other == received_from_) continue;
    char message = 0;
    mpi_check(MPI_Recv(&message, 1, MPI_CHAR, other, stop_tag, control_, MPI_STATUS_IGNORE), "MPI_Recv");
  }
  mpi_check(MPI_Waitall(static_cast<int>(sends_.size()), sends_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
  sends_.clear();
}

void install_stop_signals() {
  for (const int signal : {SIGUSR2, SIGTERM}) handle(signal, on_stop_signal, 0);
  if (!is_ignored(SIGINT)) handle(SIGINT, on_interrupt, SA_RESETHAND);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGUSR2, SIGTERM, SIGINT}) sigaddset(&signals, signal);
  leave_signals_to_their_own_thread(signals);
}

bool Cluster::stop_requested() const {
  return communicator.spread_stop(signalled != 0 || unix_seconds() >= stop_at);
}

bool Cluster::agree_to_stop() const {
  return communicator.max(stop_requested() ? 1 : 0) != 0;
}

}  // namespace eidolon
