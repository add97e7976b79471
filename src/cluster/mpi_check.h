// Every MPI call goes through mpi_check; MPI's own text becomes a Fault.
#pragma once

namespace eidolon {

/// Throws Fault "MPI_Bcast failed: <MPI_Error_string>" unless `code` is MPI_SUCCESS. Only of use where MPI_ERRORS_RETURN is
/// set: the default handler ends the process inside the call.
void mpi_check(int code, const char* call);

}  // namespace eidolon
