// The MPI library: its start and its end, its errors as exceptions, and its version.
#pragma once

#include <string>

namespace eidolon {

/// RAII over MPI_Init_thread(MPI_THREAD_SERIALIZED) and MPI_Finalize, after arbor's with_mpi.
///
/// The destructor skips MPI_Finalize while an exception is in flight. A rank that throws would otherwise hang there,
/// since the other ranks still communicate. Throws BadInput for a wrong launch (refuse_wrong_launch in
/// cluster/launch/launch.h).
class MpiSession {
 public:
  MpiSession(int* argc, char*** argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

 private:
  int exceptions_at_birth_;
};

/// Throws Fault "MPI_Bcast failed: <MPI_Error_string>" unless `code` is MPI_SUCCESS. Every MPI call goes through it. It
/// needs the error handler MPI_ERRORS_RETURN: MPI's default handler ends the process inside the call.
void mpi_check(int code, const char* call);

/// The version text of the MPI library, for provenance.
std::string mpi_library_version();

}  // namespace eidolon
