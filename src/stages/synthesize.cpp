#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/log.h"
#include "cluster/on_root.h"
#include "job/synthesis_methods.h"
#include "stages/generator_source.h"
#include "stages/generator_training.h"
#include "stages/rounds.h"
#include "stages/shard_set.h"
#include "stages/stages.h"
#include "stages/unit_work.h"

namespace eidolon {
namespace {

/// What progress counts: images where none is optimised by itself, else what the teacher sees.
struct Work {
  double amount = 0;
  std::string unit = "views";
};

Work work_of(const SynthesisJob& job, const std::vector<Unit>& units) {
  if (images_are_starts(job) || trains_generator(job))
    return {.amount = static_cast<double>(units.size()) * static_cast<double>(job.unit_images), .unit = "images"};
  double views = 0;
  for (const Unit& unit : units) views += static_cast<double>(iterations_of(job)) * views_per_iteration(job, unit);
  return {.amount = views};
}

void announce(const SynthesisJob& job, const Cluster& cluster, const std::vector<Unit>& missing) {
  if (!cluster.is_root()) return;
  const bool idle = static_cast<size_t>(cluster.size()) > missing.size() && !missing.empty();
  log::info("synthesize: " + std::to_string(units_of(job).size()) + " units of " + std::to_string(job.unit_images) +
            " images, " + std::to_string(missing.size()) + " to make on " + std::to_string(cluster.size()) + " ranks" +
            (idle ? "; more ranks than units, some are idle" : ""));
}

constexpr int seconds_between_words = 60;  ///< of a launch that waits for others

/// What a rank did in one pass over the missing units.
enum class Pass : int64_t { made_some, left_all, stopped };

/// Makes those units that no other rank or launch is at.
Pass make_free_units(UnitWorkshop& workshop, const std::vector<Unit>& missing) {
  const Cluster& cluster = workshop.context.cluster;
  int64_t made = 0;
  for (const Unit& unit : from_share_on(missing, cluster.rank(), cluster.size())) {
    if (cluster.stop_requested()) return Pass::stopped;
    const UnitOutcome outcome = make_unit(workshop, unit);
    if (outcome == UnitOutcome::stopped) return Pass::stopped;
    if (outcome == UnitOutcome::made) ++made;
  }
  return made > 0 ? Pass::made_some : Pass::left_all;
}

/// All that is missing is being made by other launches: time passes, in which they finish it or prove to be dead.
void wait_for_others(const RunContext& context, const std::vector<Unit>& missing, int waits) {
  if (context.cluster.is_root() && waits % seconds_between_words == 0) {
    const auto holder = holder_of(context.claim_of(missing[0]));
    log::info("waiting for " + std::to_string(missing.size()) + " units of other launches; unit " +
              std::to_string(missing[0].first) + " is with " + (holder ? describe(*holder) : std::string("nobody any more")));
  }
  context.heartbeat->set({"synthesize", "waiting for units of other launches"});
  std::this_thread::sleep_for(std::chrono::seconds(1));
}

/// Makes the missing units, or waits for those who do. Each pass ends with a look at the disk, so this launch ends well only
/// when every shard is there, whoever made it. False if it was stopped.
bool make_units(RunContext& context, std::vector<Unit> missing) {
  const Cluster& cluster = context.cluster;
  const Communicator& communicator = cluster.communicator;
  const SynthesisJob& job = context.job.synthesis;
  const Work work = work_of(job, missing);
  SynthesisTeacher teacher = context.synthesis_teacher();
  teacher.opponent = opponent_of(context);
  UnitWorkshop workshop{context, std::move(teacher), CheckpointClock(context.job.run),
                        Progress("synthesize", work.amount / cluster.size(), work.unit, cluster.is_root())};
  workshop.recorder = graph_recorder(context.device());
  if (trains_generator(job)) workshop.generator = finished_generator(context);
  for (int waits = 0; !missing.empty();) {
    const Pass own = make_free_units(workshop, missing);
    cluster.wait_for_all();
    if (communicator.max(own == Pass::stopped) != 0) return false;
    if (communicator.max(own == Pass::made_some) == 0) wait_for_others(context, missing, waits++);
    missing = units_without_shard(context, missing);
  }
  return true;
}

void require_all_given(const RunContext& context, const std::vector<Unit>& missing) {
  if (missing.empty()) return;
  throw_once(context.cluster.communicator,
             BadInput(context.shard(missing[0]).string() +
                      " is missing, and synthesis.method = \"given\" makes no images; "
                      "ask for fewer (synthesis.images, synthesis.held_out_images) or add the shard"));
}

}  // namespace

ExitCode synthesize(RunContext& context) {
  if (const ExitCode code = finish_earlier_rounds(context); code != ExitCode::done) return code;
  if (trains_generator(context.job.synthesis)) {
    if (const ExitCode code = train_generator(context); code != ExitCode::done) return code;
  }
  const std::vector<Unit> units = units_of(context.job.synthesis);
  const std::vector<Unit> missing = units_without_shard(context, units);
  if (context.job.synthesis.method == "given") {
    require_all_given(context, missing);
    return ExitCode::done;
  }
  if (!missing.empty() && !context.made_otherwise.empty())  // what is damaged would be made again
    throw_once(context.cluster.communicator, BadInput(context.made_otherwise));
  announce(context.job.synthesis, context.cluster, missing);
  if (!missing.empty() && !make_units(context, missing)) return ExitCode::again;
  sweep_finished(context, units);
  return ExitCode::done;
}

}  // namespace eidolon
