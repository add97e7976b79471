#include "stages/generator_training.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cluster/broadcast_tensors.h"
#include "cluster/launch/accelerators.h"
#include "cluster/liveness/claim.h"
#include "cluster/log.h"
#include "cluster/on_root.h"
#include "finetuning/gradient_reducer.h"
#include "job/synthesis_methods.h"
#include "numerics/schedule.h"
#include "reporting/metrics_log.h"
#include "stages/agreements.h"
#include "stages/generator_source.h"
#include "stages/stage_times.h"
#include "stages/stopwatch.h"
#include "storage/atomic_file.h"
#include "synthesis/generator_files.h"
#include "synthesis/generator_loss.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

constexpr AdamSettings adam{0.5, 0.999, 1e-8};   ///< GDFQ's
constexpr int64_t log_interval = 10;             ///< steps whose losses are looked at together
constexpr int64_t settling_groups = 16;          ///< of images, whose statistics the finished generator keeps
constexpr double generator_stale_seconds = 300;  ///< unlike units, two launches at once would make two generators
constexpr int seconds_between_words = 60;        ///< of a launch that waits for another

/// What a launch trains with.
struct Training {
  RunContext& context;
  SynthesisTeacher teacher;
  GeneratorState state;
  ShardOwner owner;
  std::optional<Claim> claim;  ///< on rank 0
  CheckpointClock clock;
  Progress progress;

  const SynthesisJob& job() const { return context.job.synthesis; }
  const Cluster& cluster() const { return context.cluster; }
};

/// Another launch may think this one dead and train on. Its generator has other bytes if it has other ranks.
void require_claim(const Training& training) {
  if (!training.claim || training.claim->still_held()) return;
  throw Fault("another launch has taken over the generator in " + training.context.run.root.string() +
              ", since this one was not heard of for minutes; this one ends");
}

/// A group is what BatchNorm's statistics are taken over, here and in the teacher, so that it decides nothing how many ranks
/// share the groups of a step. Group g belongs to rank g mod size.
Conditions group_conditions(const Training& training, int64_t group, int64_t step) {
  const SynthesisJob& job = training.job();
  const int64_t classes = training.teacher.plan().output.size;
  return training_conditions(job.seed, classes, group * job.unit_images, job.unit_images, step).to(training.context.device());
}

/// Forward and backward of this rank's groups of a step. Returns the sums of the unweighted losses over their images, one per
/// term.
Tensor accumulate_gradients(Training& training) {
  const SynthesisJob& job = training.job();
  const SynthesisTeacher& teacher = training.teacher;
  const int64_t groups = job.generator.batch / job.unit_images;
  const auto terms = static_cast<int64_t>(generator_terms(job).size());
  Tensor sums = at::zeros({terms}, at::TensorOptions(at::kFloat).device(training.context.device()));
  for (int64_t group = training.cluster().rank(); group < groups; group += training.cluster().size()) {
    const Conditions conditions = group_conditions(training, group, training.state.step);
    const Tensor pixels = generate(training.state.generator, conditions, teacher.preprocessing, teacher.precision());
    const std::vector<TermLoss> losses = generator_losses(teacher, job, conditions, pixels);
    torch::autograd::backward({weighted_sum(losses) / static_cast<double>(job.generator.batch)}, {});
    std::vector<Tensor> found;
    for (const TermLoss& loss : losses) found.push_back(loss.value.detach().sum());
    sums += at::stack(found);
  }
  return sums;
}

void update(Training& training) {
  const double rate =
      training.job().learning_rate * warmup_then_cosine(training.state.step, training.job().iterations, /*warmup=*/0);
  std::vector<Tensor> parameters, gradients, rates;
  std::vector<AdamMoments*> moments;
  for (const auto& [name, parameter] : training.state.generator.parameters) {
    parameters.push_back(parameter);
    gradients.push_back(parameter.grad());
    moments.push_back(&training.state.moments.at(name));
    rates.push_back(at::scalar_tensor(rate, at::kFloat));
  }
  adam_steps(std::move(parameters), gradients, moments, rates, adam);
}

/// Means over the batch, by term. Collective.
Figures figures_of(const Training& training, Tensor sums) {
  training.cluster().communicator.all_reduce_sum(sums);
  const Tensor means = sums.cpu() / static_cast<double>(training.job().generator.batch);
  Figures figures;
  int64_t index = 0;
  for (const std::string_view term : generator_terms(training.job())) {
    const double mean = means[index++].item<double>();
    if (!std::isfinite(mean)) {
      throw Fault("generator, step " + std::to_string(training.state.step) + ": the loss '" + std::string(term) +
                  "' is not finite; lower synthesis.learning_rate or use precision = \"fp32\"");
    }
    figures.emplace_back(term, mean);
  }
  return figures;
}

/// Trains on from where the state stands. False if it was stopped; the state is then on disk. Collective.
bool train(Training& training) {
  RunContext& context = training.context;
  const Communicator& communicator = context.cluster.communicator;
  GeneratorState& state = training.state;
  std::vector<Tensor> parameters;
  for (auto& [name, parameter] : state.generator.parameters) parameters.push_back(parameter.requires_grad_(true));
  GradientReducer reducer(parameters, communicator, Reduction::plain);  // a rank may have several groups, each a backward pass
  MetricsLog metrics(context.run.synthesis_metrics(context.cluster.launch), context.cluster.is_root());

  Agreements agreements(context.cluster, training.clock);
  const int64_t iterations = training.job().iterations;
  while (state.step < iterations) {
    reducer.zero();
    const Tensor sums = accumulate_gradients(training);
    reducer.finish();
    Figures figures;
    if (state.step % log_interval == 0 || state.step + 1 == iterations) {
      figures = figures_of(training, sums);
      metrics.append("synthesize/generator", state.step, figures);
    }
    update(training);
    ++state.step;
    training.progress.advance(static_cast<double>(training.job().generator.batch), figures);
    context.report("synthesize", "generator step " + std::to_string(state.step), training.progress);

    const AfterStep next = agreements.after_step(state.step == iterations);
    if (next == AfterStep::go_on) continue;
    on_root(communicator, [&] {
      require_claim(training);
      training.clock.take([&] { write_generator_state(context.run.generator_state(), state, training.owner); });
    });
    if (next == AfterStep::checkpoint_and_stop && state.step < iterations) return false;
  }
  return true;
}

/// Gives the norms the mean of the statistics of further groups: each image then depends on its own conditions alone.
/// Collective.
void settle_statistics(Training& training) {
  Generator& generator = training.state.generator;
  for (auto& [name, parameter] : generator.parameters) parameter = parameter.detach();
  TensorMap sums;
  for (const auto& [name, shape] : generator_statistics(generator.shape))
    sums[name] = at::zeros(shape, at::TensorOptions(at::kFloat).device(training.context.device()));
  for (int64_t group = training.cluster().rank(); group < settling_groups; group += training.cluster().size()) {
    TensorMap found;
    const Conditions conditions = group_conditions(training, group, training.job().iterations);
    generate(generator, conditions, training.teacher.preprocessing, training.teacher.precision(), &found);
    for (auto& [name, sum] : sums) sum += found.at(name);
  }
  for (auto& [name, sum] : sums) {
    training.cluster().communicator.all_reduce_sum(sum);
    sum /= static_cast<double>(settling_groups);
  }
  generator.statistics = std::move(sums);
}

/// The state that another start left, or a new one; the same on every rank. Collective.
GeneratorState first_state(const RunContext& context, const ShardOwner& owner) {
  const GeneratorShape shape = own_generator_shape(context);
  const fs::path file = context.run.generator_state();
  GeneratorState state = start_generator(shape, context.job.synthesis.seed, at::kCPU);
  const std::string step = from_root(context.cluster.communicator, [&] {
    if (auto resumed = read_generator_state(file, shape, owner)) {
      state = std::move(*resumed);
    } else if (fs::exists(file)) {
      log::warn(file.string() + " is damaged, or of another job or version; the generator starts anew");
    }
    return std::to_string(state.step);
  });
  TensorMap first, second;
  for (auto& [name, moments] : state.moments) first[name] = moments.exp_avg, second[name] = moments.exp_avg_sq;
  for (TensorMap* tensors : {&state.generator.parameters, &first, &second})
    broadcast_tensors(*tensors, context.cluster.communicator);
  state.step = std::stoll(step);
  for (auto& [name, parameter] : state.generator.parameters) {
    parameter = parameter.to(context.device());
    state.moments[name] = {first[name].to(context.device()), second[name].to(context.device()), state.step};
  }
  return state;
}

/// Trains it, the claim being this launch's. False if it was stopped. Collective.
bool make_generator(RunContext& context, std::optional<Claim> claim) {
  const Communicator& communicator = context.cluster.communicator;
  const SynthesisJob& job = context.job.synthesis;
  const ShardOwner owner = generator_owner(context);
  const Stopwatch watch;
  Training training{.context = context,
                    .teacher = context.synthesis_teacher(),
                    .state = first_state(context, owner),
                    .owner = owner,
                    .claim = std::move(claim),
                    .clock = CheckpointClock(context.job.run),
                    .progress = Progress("generator", static_cast<double>(job.iterations * job.generator.batch), "images",
                                         context.cluster.is_root())};
  training.progress.done_before(static_cast<double>(training.state.step * job.generator.batch));
  if (!train(training)) return false;
  const at::NoGradGuard no_grad;
  settle_statistics(training);
  on_root(communicator, [&] {
    require_claim(training);
    write_generator(generator_file(context), training.state.generator, owner);
    std::error_code ignored;  // it costs space, nothing else
    fs::remove(context.run.generator_state(), ignored);
  });
  write_time(context, "synthesize/generator", watch.seconds());
  return true;
}

void wait_for_other(const RunContext& context, const fs::path& claim, int waits) {
  if (context.cluster.is_root() && waits % seconds_between_words == 0) {
    const auto holder = holder_of(claim);
    log::info("waiting for the generator, which is with " + (holder ? describe(*holder) : std::string("nobody any more")));
  }
  context.heartbeat->set({"synthesize", "waiting for another launch's generator"});
  std::this_thread::sleep_for(std::chrono::seconds(1));
}

/// Whether every image that it would make is there.
bool has_all_images(const RunContext& context) {
  for (const Unit& unit : units_of(context.job.synthesis)) {
    if (is_optimised(context.job.synthesis, unit) && !fs::exists(context.shard(unit))) return false;
  }
  return true;
}

}  // namespace

ExitCode train_generator(RunContext& context) {
  const Communicator& communicator = context.cluster.communicator;
  if (!context.identity.generator.empty() && from_root(communicator, [&] { return has_all_images(context) ? "y" : ""; }) == "y")
    return ExitCode::done;
  const fs::path file = generator_file(context), claim_file = fs::path(file).replace_extension(".claim.json");
  for (int waits = 0;; ++waits) {
    const std::string hash = from_root(communicator, [&] { return finished_generator_hash(context); });
    if (!hash.empty()) {
      context.identity.generator = hash;
      return ExitCode::done;
    }
    std::optional<Claim> claim;  // on rank 0
    const std::string found = from_root(communicator, [&]() -> std::string {
      claim = Claim::take(claim_file, context.claimant(generator_owner(context).facts), generator_stale_seconds);
      if (!claim) return "claimed";
      if (!finished_generator_hash(context).empty()) return "finished";  // since the look above, by who held the claim
      remove_parts(file.parent_path(), file.filename().string());
      return "free";
    });
    if (found == "claimed") wait_for_other(context, claim_file, waits);
    if (found == "free" && !make_generator(context, std::move(claim))) return ExitCode::again;
  }
}

double seconds_of_generator_step(const RunContext& context) {
  const SynthesisJob& job = context.job.synthesis;
  const SynthesisTeacher teacher = context.synthesis_teacher();
  GeneratorState state = start_generator(own_generator_shape(context), job.seed, context.device());
  for (auto& [name, parameter] : state.generator.parameters) parameter.requires_grad_(true);
  const Conditions conditions =
      training_conditions(job.seed, state.generator.shape.classes, 0, job.unit_images, 0).to(context.device());
  const auto forward_and_back = [&] {
    const Tensor pixels = generate(state.generator, conditions, teacher.preprocessing, teacher.precision());
    torch::autograd::backward({weighted_sum(generator_losses(teacher, job, conditions, pixels))}, {});
  };
  forward_and_back();  // the first also warms up
  wait_for_device(context.device());
  const Stopwatch watch;
  forward_and_back();
  wait_for_device(context.device());
  const int64_t groups = job.generator.batch / job.unit_images, ranks = context.cluster.size();
  const int64_t most_groups = (groups + ranks - 1) / ranks;  // of one rank
  return watch.seconds() * static_cast<double>(most_groups);
}

}  // namespace eidolon
