// What a Communicator holds.
#pragma once

#include <mpi.h>

#include <memory>

#include "cluster/communicator.h"
#include "cluster/communicator_nccl.h"
#include "cluster/stop_words.h"

namespace eidolon {

struct Communicator::State {
  MPI_Comm tensors = MPI_COMM_NULL;  ///< sums and broadcasts of CPU tensors
  MPI_Comm control = MPI_COMM_NULL;  ///< numbers, texts, stop words
  int rank = 0;
  int size = 1;
  double deadline_seconds = 600;
  std::unique_ptr<StopWords> stop_words;
  std::shared_ptr<NcclGroup> nccl;  ///< made at the first CUDA collective, which every rank reaches
  int exceptions_at_birth = 0;

  explicit State(double deadline);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  NcclGroup& nccl_for(at::Device device);
};

}  // namespace eidolon
