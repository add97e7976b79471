// The CUDA devices that this process can use. cuda_absent.cpp implements it in a build without CUDA.
#pragma once

#include <string>

namespace eidolon {

int cuda_device_count();  ///< 0 without a GPU or a driver

/// The UUID in hexadecimal digits. Two ranks with equal ids use the same GPU, even where Slurm calls each rank's GPU 0.
std::string cuda_device_id(int index);

std::string cuda_device_name(int index);  ///< "NVIDIA H100 80GB HBM3"

}  // namespace eidolon
