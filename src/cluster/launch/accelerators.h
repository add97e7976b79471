// The accelerators that this process can use: CUDA's devices, and those of a backend registered by a test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/tensor.h"

namespace eidolon {

int accelerator_count(at::DeviceType type);  ///< 0 without a device, its driver, or a build that knows it

/// The same for two ranks exactly if they use one device, even where Slurm calls each rank's GPU 0: of CUDA the UUID.
std::string accelerator_id(at::Device device);

/// "NVIDIA H100 80GB HBM3", the same for all devices of one kind.
std::string accelerator_name(at::Device device);

/// Whether the device multiplies bfloat16 by hardware of its own: of CUDA from compute capability 8.0 on.
bool multiplies_bfloat16(at::Device device);

/// Blocks until the work queued on the device is done. Nothing on the CPU.
void wait_for_device(at::Device device);

/// The most memory that LibTorch has held on the device at once, in MB; 0 on the CPU and where it does not count it.
double peak_device_megabytes(at::Device device);

/// What LibTorch can still allocate on the device; nothing where it is the host's memory (CPU) or is not known.
std::optional<int64_t> free_device_bytes(at::Device device);

/// A GPU that the system has and LibTorch cannot use, in words; empty where there is none. A driver older than CUDA's
/// and a build without CUDA look alike to LibTorch: it sees no device.
std::string unusable_gpu();

}  // namespace eidolon
