#include <string>

#include "base/error.h"
#include "cluster/launch/cuda_devices.h"

namespace eidolon {

int cuda_device_count() {
  return 0;
}
std::string cuda_device_id(int) {
  throw Fault("this build has no CUDA");
}
std::string cuda_device_name(int) {
  throw Fault("this build has no CUDA");
}

}  // namespace eidolon
