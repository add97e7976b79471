// What the collectives ask of a device stream that LibTorch's device-independent interface (c10::Stream, c10::Event) does not
// have. cuda_stream.cpp has it for CUDA; a test has it for the stand-in accelerator.
#pragma once

#include <c10/core/Stream.h>

namespace eidolon {

/// Has the host call `function(nullptr)` once the work queued on `stream` so far is done, from a thread of the driver. The
/// device that owns the stream must be the current one. Throws Fault if the driver refuses.
void call_on_host(const c10::Stream& stream, void (*function)(void*));

}  // namespace eidolon
