// What a rank is told about the machine it runs on: its communicator, device, threads, and whether to stop.
#pragma once

#include <limits>
#include <string>

#include "cluster/communicator.h"
#include "cluster/launch/placement.h"

namespace eidolon {

/// SIGUSR2, SIGTERM and the first SIGINT (Ctrl-C without mpirun, which takes it for itself) ask this process to stop; the
/// handlers only set a flag. A second SIGINT ends it at once. To be called before MPI starts: until then these signals end the
/// process.
void install_stop_signals();

struct Cluster {
  Communicator communicator;
  Placement placement;
  std::string launch = {};                                   ///< the name of this start (cluster/launch/launch.h)
  double stop_at = std::numeric_limits<double>::infinity();  ///< unix seconds from which on a stop is requested

  bool is_root() const { return communicator.rank() == 0; }
  int rank() const { return communicator.rank(); }
  int size() const { return communicator.size(); }

  /// True once this rank was signalled, the time to stop has come, or another rank has sent word of either (a small message on
  /// the control communicator, received by MPI_Iprobe, so that a signal to one rank stops all without a collective). Cheap;
  /// call it every iteration.
  bool stop_requested() const;

  /// Collective: true on all ranks if it is true on any. The step at which all agree to stop.
  bool agree_to_stop() const;

  /// Collective. Waits for all ranks; one that was signalled meanwhile still tells the others.
  void wait_for_all() const {
    communicator.barrier([this] { stop_requested(); });
  }
};

}  // namespace eidolon
