#include "cluster/mpi_check.h"

#include <mpi.h>

#include <string>

#include "base/error.h"

namespace eidolon {

void mpi_check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  throw Fault(std::string(call) + " failed: " + (length > 0 ? std::string(text, length) : "error " + std::to_string(code)));
}

}  // namespace eidolon
