#include "base/error.h"
#include "cluster/launch/cuda_facts.h"

namespace eidolon {

int cuda_device_count() {
  return 0;
}

CudaFacts cuda_facts(int) {
  throw Fault("this build has no CUDA");
}

double cuda_peak_megabytes(int) {
  throw Fault("this build has no CUDA");
}

int64_t cuda_free_bytes(int) {
  throw Fault("this build has no CUDA");
}

}  // namespace eidolon
