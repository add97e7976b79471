#include "cluster/launch/accelerators.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/device_kinds.h"
#include "cluster/launch/cuda_facts.h"
#include "storage/posix_file.h"

namespace eidolon {

int accelerator_count(at::DeviceType type) {
  if (type == at::kCUDA) return cuda_device_count();
  if (type == at::kCPU || !c10::impl::hasDeviceGuardImpl(type)) return 0;
  return c10::impl::getDeviceGuardImpl(type)->deviceCount();
}

std::string accelerator_id(at::Device device) {
  return device.is_cuda() ? cuda_facts(device.index()).uuid : host_name() + " " + device.str();
}

std::string accelerator_name(at::Device device) {
  return device.is_cuda() ? cuda_facts(device.index()).name : device_kind(device);
}

bool multiplies_bfloat16(at::Device device) {
  constexpr int ampere = 8;
  return device.is_cuda() && cuda_facts(device.index()).major >= ampere;
}

void wait_for_device(at::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

double peak_device_megabytes(at::Device device) {
  return device.is_cuda() ? cuda_peak_megabytes(device.index()) : 0;
}

std::optional<int64_t> free_device_bytes(at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  return cuda_free_bytes(device.index());
}

std::string unusable_gpu() {
  if (cuda_device_count() > 0) return "";
  std::error_code ignored;  // what cannot be looked at is not there
  if (std::filesystem::exists("/dev/nvidia0", ignored)) return "/dev/nvidia0 exists";
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string devices = visible == nullptr ? "" : visible;
  return devices.empty() || devices == "-1" || devices == "NoDevFiles" ? "" : "CUDA_VISIBLE_DEVICES is " + devices;
}

}  // namespace eidolon
