// Work on a device that is recorded once and then started as a whole (CUDA graphs). A GPU that is given hundreds of small
// kernels one by one waits for the host that starts them.
#pragma once

#include <functional>

#include "base/tensor.h"

namespace eidolon {

/// Starts what was recorded again: the same kernels, which read and write where they did.
using Replay = std::function<void()>;

/// Runs `work` once for the sake of what LibTorch prepares at first use, and once to record what it starts on the device; what
/// it writes is worth something after a replay only. Numbers that `work` computes on the host stay as they were. Throws
/// where it waits for the device or does anything else that cannot be recorded. The device can be used as before then.
using Recorder = std::function<Replay(const std::function<void()>& work)>;

/// Of a CUDA device; empty for others. What a Replay needs stays allocated as long as it exists.
Recorder graph_recorder(at::Device device);

}  // namespace eidolon
