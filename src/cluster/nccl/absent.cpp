#include <memory>
#include <string>

#include "base/error.h"
#include "cluster/communicator.h"
#include "cluster/nccl/collectives.h"

namespace eidolon {

std::string nccl_version() {
  return "none in this build";
}

std::shared_ptr<NcclGroup> make_nccl_group(MPI_Comm, at::Device, double) {
  throw Fault(
      "this build has no NCCL, which tensors on a GPU travel by; configure with -DEIDOLON_NCCL_ROOT=<folder with "
      "include/nccl.h> "
      "or set run.device = \"cpu\"");
}

}  // namespace eidolon
