// The device that tests compute on: EIDOLON_TEST_DEVICE = cpu (the default), standin, or cuda.
#pragma once

#include <ATen/Context.h>

#include <cstdlib>

#include "base/device_kinds.h"
#include "base/tensor.h"

namespace eidolon {

/// As a run of the program computes on CUDA (cluster/launch/placement.cpp): the same bits every time, in full float32.
inline void compute_as_a_run() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(true);
  context.setAllowTF32CuDNN(false);
  context.setBenchmarkCuDNN(false);
}

inline at::Device test_device() {
  const char* const kind = std::getenv("EIDOLON_TEST_DEVICE");
  const at::DeviceType type = device_type(kind == nullptr ? "cpu" : kind);
  if (type == at::kCPU) return type;
  if (type == at::kCUDA) compute_as_a_run();
  return {type, 0};
}

}  // namespace eidolon
