#include "base/error.h"
#include "cluster/communicator_nccl.h"

namespace eidolon {

std::shared_ptr<NcclGroup> make_nccl_group(MPI_Comm, at::Device, double) {
  throw Fault(
      "this build has no NCCL, which tensors on a GPU travel by; configure with -DEIDOLON_NCCL_ROOT=<folder with "
      "include/nccl.h> "
      "or set run.device = \"cpu\"");
}

}  // namespace eidolon
