#include "cluster/mpi/session.h"

#include <mpi.h>

#include <array>
#include <cstddef>
#include <exception>

#include "base/error.h"
#include "cluster/launch/launch.h"
#include "cluster/log.h"

namespace eidolon {
namespace {

void check_world(int provided) {
  mpi_check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  int rank = 0, size = 1;
  mpi_check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
  log::set_ranks(rank, size);
  if (provided < MPI_THREAD_SERIALIZED) throw Fault("this MPI library lacks MPI_THREAD_SERIALIZED; use one built with threads");
  refuse_wrong_launch(size);
}

}  // namespace

MpiSession::MpiSession(int* argc, char*** argv) : exceptions_at_birth_(std::uncaught_exceptions()) {
  int provided = MPI_THREAD_SINGLE;
  mpi_check(MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  try {
    check_world(provided);
  } catch (const Error&) {  // all ranks see the same, so all come to this MPI_Finalize
    mpi_check(MPI_Finalize(), "MPI_Finalize");
    throw;
  }
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > exceptions_at_birth_) return;
  if (MPI_Finalize() != MPI_SUCCESS) log::warn("MPI_Finalize failed");
}

void mpi_check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  throw Fault(std::string(call) + " failed: " + (length > 0 ? std::string(text, length) : "error " + std::to_string(code)));
}

std::string mpi_library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  mpi_check(MPI_Get_library_version(text.data(), &length), "MPI_Get_library_version");
  return {text.data(), static_cast<size_t>(length)};
}

}  // namespace eidolon
