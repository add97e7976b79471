#include "cluster/communicator_state.h"

#include <exception>

#include "base/error.h"
#include "cluster/collective_clock.h"
#include "cluster/log.h"
#include "cluster/mpi_check.h"

namespace eidolon {
namespace {

MPI_Comm duplicate_of_world() {
  MPI_Comm duplicate = MPI_COMM_NULL;
  mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &duplicate), "MPI_Comm_dup");
  mpi_check(MPI_Comm_set_errhandler(duplicate, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return duplicate;
}

bool mpi_is_gone() {
  int finalized = 0;
  return MPI_Finalized(&finalized) != MPI_SUCCESS || finalized != 0;
}

}  // namespace

Communicator::State::State(double deadline) : deadline_seconds(deadline), exceptions_at_birth(std::uncaught_exceptions()) {
  mpi_check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  tensors = duplicate_of_world();
  control = duplicate_of_world();
  mpi_check(MPI_Comm_rank(control, &rank), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(control, &size), "MPI_Comm_size");
  stop_words = std::make_unique<StopWords>(control, rank, size);
}

// Orderly leave is collective. A rank that leaves by an exception must not wait for the others, who may be elsewhere: its exit
// code ends the job.
Communicator::State::~State() {
  if (std::uncaught_exceptions() > exceptions_at_birth || mpi_is_gone()) return;
  try {
    nccl.reset();
    stop_words->drain();
    mpi_check(MPI_Comm_free(&control), "MPI_Comm_free");
    mpi_check(MPI_Comm_free(&tensors), "MPI_Comm_free");
  } catch (const std::exception& error) {
    log::warn(std::string("leaving the communicator: ") + error.what());
  }
}

NcclGroup& Communicator::State::nccl_for(at::Device device) {
  if (!nccl) {
    const collective_clock::Blocking blocking;
    nccl = make_nccl_group(control, device, deadline_seconds);
  }
  if (nccl->device() != device) {
    throw Fault("this rank communicates on " + nccl->device().str() + " but was given a tensor on " + device.str());
  }
  return *nccl;
}

}  // namespace eidolon
