// The stop notification: a small message to every other rank. A signal to one rank so stops all without a collective.
//
// The path of a stop: a signal sets a flag (install_stop_signals in cluster/cluster.h), or the allocation is about to
// end. Cluster::stop_requested() sees it, and StopNotification sends it on and receives those of other ranks.
#pragma once

#include <mpi.h>

#include <vector>

namespace eidolon {

class StopNotification {
 public:
  StopNotification(MPI_Comm control, int rank, int size) : control_(control), rank_(rank), size_(size) {}

  /// True once a stop was requested on this rank or a notification was received. A rank notifies the others at most
  /// once, and does not forward what it received. Not collective.
  bool spread(bool requested_here);

  /// Collective. Receives the notifications still under way and completes the sends. Call it before `control` is freed.
  void drain();

 private:
  void notify_others();
  void receive();

  MPI_Comm control_;
  int rank_, size_;
  bool stopping_ = false;
  int received_from_ = -1;
  char message_ = 1;  // the buffer of all sends, which end in drain()
  std::vector<MPI_Request> sends_;
};

}  // namespace eidolon
