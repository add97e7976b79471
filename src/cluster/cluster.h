// What a rank is told about the machine it runs on: its communicator, device, threads, and whether to stop.
#pragma once

#include <limits>
#include <string>

#include "cluster/communicator.h"

namespace eidolon {

/// RAII over MPI_Init_thread(SERIALIZED) and MPI_Finalize; finalizes only when no exception is in flight (a rank that throws
/// would hang in MPI_Finalize while the others still communicate), after arbor's with_mpi. Also refuses, with BadInput, a wrong
/// launch: SLURM_NTASKS > 1 (with SLURM_STEP_ID set, that is started by srun) while the MPI world has one rank.
class MpiSession {
 public:
  MpiSession(int* argc, char*** argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

 private:
  int exceptions_at_birth_;
};

/// What the MPI library says of itself, for provenance.
std::string mpi_library_version();

struct Placement {
  std::string host;
  std::string cores;   ///< of the affinity mask: "0-3,8"
  int local_rank = 0;  ///< among the ranks of this host
  int local_size = 1;
  at::Device device = at::kCPU;  ///< cuda:(local_rank mod visible devices) or cpu
  int64_t threads = 1;
  std::string threads_bound_by = {};  ///< what decided `threads` where it was left to auto: "cores", "OMP_NUM_THREADS", ...
};

/// Binds this rank: picks the device ("cpu", "cuda" or "" for auto: cuda if one is usable), sets LibTorch's intra-op threads (0
/// for auto: what thread_bound.h allows, the least of all ranks; one inter-op thread), deterministic algorithms on. BadInput if
/// "cuda" is asked for and absent, or if more ranks than GPUs share a host.
Placement bind_rank(const Communicator& communicator, const std::string& device, int64_t threads);

/// SIGUSR2, SIGTERM and the first SIGINT (Ctrl-C without mpirun, which takes it for itself) ask this process to stop; the
/// handlers only set a flag. A second SIGINT ends it at once. To be called before MPI starts: until then these signals end the
/// process.
void install_stop_signals();

struct Cluster {
  Communicator communicator;
  Placement placement;
  std::string launch = {};                                   ///< the name of this start (launch_name.h)
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
