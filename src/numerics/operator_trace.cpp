#include "numerics/operator_trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <cstdlib>
#include <set>
#include <system_error>

#include "base/error.h"

namespace eidolon {

void trace_operators(const at::Device& device, const std::filesystem::path& file, const std::function<void()>& work) {
  using torch::profiler::impl::ActivityType;
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO,
                                                     /*report_input_shapes=*/true);
  std::set<ActivityType> activities{ActivityType::CPU};
  if (device.is_cuda()) activities.insert(ActivityType::CUDA);
  ::setenv("KINETO_LOG_LEVEL", "6", /*overwrite=*/0);  // else it states on stderr that there is no GPU, as an error
  torch::autograd::profiler::prepareProfiler(config, activities);
  torch::autograd::profiler::enableProfiler(config, activities,
                                            {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION});
  try {
    work();
  } catch (...) {
    torch::autograd::profiler::disableProfiler();
    throw;
  }
  torch::autograd::profiler::disableProfiler()->save(file.string());
  std::error_code unknown;
  if (std::filesystem::file_size(file, unknown) == 0 || unknown) throw Fault("cannot write the trace " + file.string());
}

}  // namespace eidolon
