// "Stop", said to every other rank by a message, so that a signal to one rank reaches all without a collective.
#pragma once

#include <mpi.h>

#include <vector>

namespace eidolon {

class StopNotification {
 public:
  StopNotification(MPI_Comm control, int rank, int size) : control_(control), rank_(rank), size_(size) {}

  /// True once this rank asked for the stop or heard of it; sends the word at most once, and does not repeat what it heard.
  bool spread(bool requested_here);

  /// Collective, before the communicator is freed: receives the words nobody looked for and completes the own ones.
  void drain();

 private:
  void tell_others();
  void listen();

  MPI_Comm control_;
  int rank_, size_;
  bool stopping_ = false;
  int heard_from_ = -1;
  char word_ = 1;  // the one buffer of all sends; lives until drain()
  std::vector<MPI_Request> sends_;
};

}  // namespace eidolon
