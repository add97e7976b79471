// The CUDA devices this process can use. Implemented by cuda_devices.cpp, or by cuda_absent.cpp in a build without CUDA.
#pragma once

#include <string>

namespace eidolon {

int cuda_device_count();  ///< 0 without a GPU or a driver

/// The UUID in hex: two ranks with equal ids hold the same GPU, even where Slurm numbers each rank's GPU 0.
std::string cuda_device_id(int index);

std::string cuda_device_name(int index);  ///< "NVIDIA H100 80GB HBM3"

}  // namespace eidolon
