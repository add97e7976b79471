// A trace of operators, for those who look where the time goes.
#pragma once

#include <filesystem>
#include <functional>

#include "base/tensor.h"

namespace eidolon {

/// Does `work`, and writes to `file` what it took: each operator of LibTorch with the shapes of its inputs, forward and
/// backward, and on a GPU its kernels, as JSON that chrome://tracing and https://ui.perfetto.dev open. Work costs more while it
/// is traced. Fault if the file cannot be written.
void trace_operators(const at::Device& device, const std::filesystem::path& file, const std::function<void()>& work);

}  // namespace eidolon
