// The execution context of a rank: its communicator, its device and threads, and the stop notification.
#pragma once

#include <limits>
#include <string>

#include "cluster/communicator.h"
#include "cluster/launch/placement.h"

namespace eidolon {

/// Installs handlers for SIGUSR2, SIGTERM and SIGINT that only set a flag. A second SIGINT ends the process at once.
/// They run on a thread of their own; the calling thread and those it makes later block the signals. Call it before MPI
/// starts, since these signals kill the process until then. mpirun does not pass SIGINT on to its ranks.
void install_stop_signals();

struct Cluster {
  Communicator communicator;
  Placement placement;
  std::string launch = {};                                   ///< launch_name() of cluster/launch/launch.h
  double stop_at = std::numeric_limits<double>::infinity();  ///< Unix seconds from which a stop is requested

  bool is_root() const { return communicator.rank() == 0; }
  int rank() const { return communicator.rank(); }
  int size() const { return communicator.size(); }

  /// True once this rank was signalled, `stop_at` has passed, or another rank has notified this one of either. Not
  /// collective, and cheap enough to call in every iteration.
  bool stop_requested() const;

  /// Collective. True on all ranks if stop_requested() is true on any, so that all stop at the same step.
  bool agree_to_stop() const;

  /// Collective. A barrier that still sends and receives stop notifications while it waits.
  void wait_for_all() const {
    communicator.barrier([this] { stop_requested(); });
  }
};

}  // namespace eidolon
