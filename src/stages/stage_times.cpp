#include "stages/stage_times.h"

#include "reporting/metrics_log.h"
#include "stages/stopwatch.h"

namespace eidolon {

void write_time(const RunContext& context, const std::string& stage, double seconds) {
  if (!context.heartbeat) return;
  MetricsLog(context.run.times(context.cluster.launch, context.cluster.rank())).append(stage, 0, {{"seconds", seconds}});
}

ExitCode timed(const RunContext& context, const std::string& stage, const std::function<ExitCode()>& work) {
  const Stopwatch watch;
  const ExitCode code = work();
  write_time(context, stage, watch.seconds());
  return code;
}

}  // namespace eidolon
